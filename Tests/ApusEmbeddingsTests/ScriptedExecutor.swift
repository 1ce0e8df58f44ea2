import ApusErrors
import ApusExecution
import ApusTensor
import Dispatch
import Foundation
import NIOConcurrencyHelpers

/// An executor whose model is arithmetic a test can predict, and whose lanes stand still until they are told to go on.
final class ScriptedExecutor: Executor {
    let device = DeviceID(.cpu, 0)
    let group: GroupShape?
    let laneCount: Int
    let model: ScriptedModel
    private let free: DispatchSemaphore

    init(lanes: Int = 1, holding: Bool = false, group: GroupShape? = nil) {
        laneCount = lanes
        self.group = group
        model = ScriptedModel(holding: holding)
        free = DispatchSemaphore(value: lanes)
    }

    func load(_ request: LoadRequest) async throws(ApusError) -> any LoadedModel { model }

    func prepare<Value: Sendable>(
        _ work: @escaping @Sendable () throws(ApusError) -> Value
    ) async throws(ApusError) -> Value { try work() }

    func memory() async throws(ApusError) -> DeviceMemory { DeviceMemory() }

    func clearCache() async throws(ApusError) {}

    func shutdown() async {}

    /// On threads of their own: lanes that stand still on those of a dispatch queue would leave none for Swift's tasks.
    func submit(_ work: @escaping @Sendable () -> Void) {
        let free = free
        let thread = Thread {
            free.wait()
            defer { free.signal() }
            work()
        }
        thread.start()
    }
}

/// Gives each sequence the vector (sum of its ids, number of its ids).
final class ScriptedModel: LoadedModel {
    let inputs = [
        ValueDescription("input_ids", .int32, [.fixed(1), .symbolic("T")]),
        ValueDescription("last_position", .int32, [.symbolic("B")]),
    ]
    let assignment = NodeAssignment()
    let outputs = [ValueDescription("embeddings", .float32, [.symbolic("B"), .fixed(2)])]
    /// A batch with this id fails.
    static let poison: Int32 = 333
    private let gate: DispatchSemaphore?
    private let state = NIOLockedValueBox<(runs: [[Int32]], failures: Int)>(([], 0))

    init(holding: Bool) {
        gate = holding ? DispatchSemaphore(value: 0) : nil
    }

    /// Lets one held run go on.
    func release() { gate?.signal() }

    /// The next `count` runs fail.
    func fail(next count: Int) { state.withLockedValue { $0.failures = count } }

    /// The ids of every run so far, its sequences one after the other.
    var runs: [[Int32]] { state.withLockedValue { $0.runs } }

    func run(_ tensors: [String: HostTensor], output: Int, memory: WorkingMemory) throws(ApusError) -> HostTensor {
        guard case .int32(let ids)? = tensors["input_ids"]?.elements, case .int32(let lasts)? = tensors["last_position"]?.elements
        else { throw ApusError(.engineFailure, "inputs are missing") }
        let fails = state.withLockedValue { state in
            state.runs.append(ids)
            defer { state.failures = max(0, state.failures - 1) }
            return state.failures > 0
        }
        gate?.wait()
        if fails || ids.contains(Self.poison) { throw ApusError(.engineFailure, "scripted") }
        var rest = ids[...]
        var vectors: [Float] = []
        for last in lasts {
            let own = rest.prefix(Int(last) + 1)
            rest = rest.dropFirst(own.count)
            vectors += [Float(own.reduce(0, +)), Float(own.count)]
        }
        return HostTensor([lasts.count, 2], .float32(vectors))
    }
}
