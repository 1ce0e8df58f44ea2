import ApusErrors
import ApusExecution

/// A model whose parts the members of a group hold.
///
/// What a stage's graph calls `x` is the input `x` of later stages, and where they have none, what it calls `x_out`.
final class GroupModel: LoadedModel {
    /// What one stage has of the model.
    struct Part: Sendable {
        let stage: GroupStage
        /// One for each rank that takes part.
        let ranks: [any LoadedModel]
        /// Outputs that later stages need: their places, and the names of the inputs that they are there.
        var handedOn: [(place: Int, name: String)] = []
    }

    let inputs: [ValueDescription]
    let outputs: [ValueDescription]
    let assignment: NodeAssignment
    private let parts: [Part]
    private let life: GroupLife

    /// Throws `unsupported_plan` when a stage hands nothing on.
    init(_ loaded: [Part], _ life: GroupLife) throws(ApusError) {
        self.life = life
        var parts = loaded
        var (wanted, made): ([ValueDescription], Set<String>) = ([], [])
        for place in parts.indices {
            for input in parts[place].ranks.first?.inputs ?? [] {
                guard !made.contains(input.name), !wanted.contains(where: { $0.name == input.name }) else { continue }
                wanted.append(input)
            }
            guard place + 1 < parts.count else { break }
            let later = Set(parts[(place + 1)...].flatMap { $0.ranks.first?.inputs.map(\.name) ?? [] })
            for (index, output) in (parts[place].ranks.first?.outputs ?? []).enumerated() {
                let name = later.contains(output.name) ? output.name : Self.inputName(output.name)
                guard later.contains(name) else { continue }
                parts[place].handedOn.append((index, name))
                made.insert(name)
            }
            guard !parts[place].handedOn.isEmpty else {
                throw ApusError(.unsupportedPlan, "stage \(parts[place].stage.index) gives nothing that a later stage takes", place: "stages")
            }
        }
        self.parts = parts
        inputs = wanted
        outputs = parts.last?.ranks.first?.outputs ?? []
        assignment = Self.together(parts.flatMap { $0.ranks.map(\.assignment) })
    }

    func run(_ inputs: [String: HostTensor], output: Int, memory: WorkingMemory) throws(ApusError) -> HostTensor {
        guard let tensor = try run(inputs, outputs: [output], memory: memory).first else {
            throw ApusError(.engineFailure, "there is no output \(output)")
        }
        return tensor
    }

    func run(_ inputs: [String: HostTensor], outputs: [Int], memory: WorkingMemory) throws(ApusError) -> [HostTensor] {
        guard outputs.allSatisfy(self.outputs.indices.contains) else {
            throw ApusError(.engineFailure, "there are \(self.outputs.count) outputs, not those at \(outputs)")
        }
        return try life.run(parts, inputs, outputs: outputs, memory: memory)
    }

    private static let outputSuffix = "_out"

    private static func inputName(_ output: String) -> String {
        output.utf8.count > outputSuffix.utf8.count && output.hasSuffix(outputSuffix) ? String(output.dropLast(outputSuffix.count)) : output
    }

    private static func together(_ assignments: [NodeAssignment]) -> NodeAssignment {
        var order: [String] = []
        var shares: [String: NodeAssignment.Share] = [:]
        for share in assignments.flatMap(\.shares) {
            guard let known = shares[share.provider] else {
                order.append(share.provider)
                shares[share.provider] = share
                continue
            }
            shares[share.provider] = NodeAssignment.Share(
                provider: share.provider, nodes: known.nodes + share.nodes, operators: Set(known.operators + share.operators).sorted())
        }
        return NodeAssignment(order.compactMap { shares[$0] })
    }
}
