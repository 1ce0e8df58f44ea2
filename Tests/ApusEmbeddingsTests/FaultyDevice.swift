import ApusEmbeddings
import ApusErrors
import ApusExecution
import ApusTensor
import Dispatch
import NIOConcurrencyHelpers

/// A device that computes what ``ScriptedModel`` does and fails as a test says.
final class FaultyDevice: Executor, LoadedModel {
    typealias Fault = @Sendable (_ run: Int, _ sequences: [[Int32]]) -> ApusError.Code?

    let device: DeviceID
    let laneCount = 1
    let inputs = [
        ValueDescription("input_ids", .int32, [.fixed(1), .symbolic("T")]),
        ValueDescription("last_position", .int32, [.symbolic("B")]),
    ]
    let outputs = [ValueDescription("embeddings", .float32, [.symbolic("B"), .fixed(2)])]
    let assignment = NodeAssignment()
    private let fault: Fault
    private let lane: DispatchQueue
    private let done = NIOLockedValueBox<[[[Int32]]]>([])

    /// `fault` is asked for every run, the first being 1.
    init(_ device: DeviceID, fault: @escaping Fault = { _, _ in nil }) {
        self.device = device
        self.fault = fault
        lane = DispatchQueue(label: "\(device)")
    }

    /// The sequences of every run so far.
    var runs: [[[Int32]]] { done.withLockedValue { $0 } }

    func load(_ request: LoadRequest) async throws(ApusError) -> any LoadedModel { self }

    func submit(_ work: @escaping @Sendable () -> Void) { lane.async(execute: work) }

    func prepare<Value: Sendable>(
        _ work: @escaping @Sendable () throws(ApusError) -> Value
    ) async throws(ApusError) -> Value { try work() }

    func memory() async throws(ApusError) -> DeviceMemory { DeviceMemory() }

    func clearCache() async throws(ApusError) {}

    func shutdown() async {}

    func run(_ tensors: [String: HostTensor], output: Int, memory: WorkingMemory) throws(ApusError) -> HostTensor {
        guard case .int32(let ids)? = tensors["input_ids"]?.elements, case .int32(let lasts)? = tensors["last_position"]?.elements
        else { throw ApusError(.engineFailure, "inputs are missing") }
        var rest = ids[...]
        let sequences = lasts.map { last in
            let own = Array(rest.prefix(Int(last) + 1))
            rest = rest.dropFirst(own.count)
            return own
        }
        let number = done.withLockedValue { runs in
            runs.append(sequences)
            return runs.count
        }
        if let code = fault(number, sequences) { throw ApusError(code, "scripted") }
        return HostTensor(
            [lasts.count, 2], .float32(sequences.flatMap { [Float($0.reduce(0, +)), Float($0.count)] }))
    }
}

/// Remembers what became of batches.
final class ReportKeeper: BatchObserver {
    private let kept = NIOLockedValueBox<[BatchReport]>([])

    var reports: [BatchReport] { kept.withLockedValue { $0 } }

    func batchBegan(on device: DeviceID) {}

    func batchEnded(_ report: BatchReport) { kept.withLockedValue { $0.append(report) } }
}
