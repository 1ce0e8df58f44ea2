import ApusErrors
import ApusExecution
import ApusTensor
import CApusProcess
import Foundation
import Synchronization

/// A model whose steps do what its name says. `x` is float32, `ids` int64; both of any length.
final class ScriptedModel: LoadedModel {
    let inputs = [
        ValueDescription("x", .float32, [.symbolic("n")]), ValueDescription("ids", .int64, [.symbolic("rows"), .symbolic("n")]),
    ]
    let outputs = [ValueDescription("y", .float32, [.symbolic("n")]), ValueDescription("same", .int64, [.symbolic("rows"), .symbolic("n")])]
    let assignment = NodeAssignment([
        .init(provider: "ScriptedProvider", nodes: 3, operators: ["Add", "MatMul"]),
    ])
    private let action: String
    private let number: Int

    private static let unloaded = Atomic<Int>(0)
    private static let cacheClearings = Atomic<Int>(0)

    static var clearings: Int { cacheClearings.load(ordering: .relaxed) }
    static func cleared() { cacheClearings.add(1, ordering: .relaxed) }

    init(_ action: String, _ number: Int) {
        self.action = action
        self.number = number
    }

    deinit {
        Self.unloaded.add(1, ordering: .relaxed)
    }

    func run(_ inputs: [String: HostTensor], output: Int, memory: WorkingMemory) throws(ApusError) -> HostTensor {
        guard case .float32(let x)? = inputs["x"]?.elements, let ids = inputs["ids"] else {
            throw ApusError(.engineFailure, "inputs are missing")
        }
        if output == 1 { return ids }
        switch action {
        case "double": return Self.vector(x.map { 2 * $0 })
        case "grow": return Self.vector((0..<number).map { Float($0 % 1_000) })
        case "sleep":
            Thread.sleep(forTimeInterval: Double(number) / 1_000)
            return Self.vector(x)
        case "fail":
            throw ApusError(
                .outOfMemory, "Failed to allocate \(number) bytes", place: "node MatMul_3", advice: "Lower the batch token budget",
                cause: ApusError(.engineFailure, "CUDA failure 2: out of memory"))
        case "poison": throw ApusError(.engineFailure, "CUDA failure \(number): unspecified launch failure ; GPU=0 ; hostname=h")
        case "exit": _exit(Int32(number))
        case "trap": return Self.vector([x[x.count + number]])
        case "raise":
            // Sanitizers have handlers of their own, which would turn the signal into an exit.
            signal(Int32(number), SIG_DFL)
            raise(Int32(number))
            return Self.vector(x)
        case "scribble": Scribble.allCases[number].write(x.map { Int($0) }.first ?? 0)
        case "cores": return Self.vector(Self.cores.map(Float.init))
        case "unloaded": return Self.vector([Float(Self.unloaded.load(ordering: .relaxed))])
        default: throw ApusError(.unsupportedModel, "nothing is known of '\(action)'")
        }
    }

    private static func vector(_ values: [Float]) -> HostTensor { HostTensor([values.count], .float32(values)) }

    private static var cores: [Int] {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") } ?? ""
        return line.split(whereSeparator: { !$0.isNumber }).compactMap { Int($0) }
    }
}
