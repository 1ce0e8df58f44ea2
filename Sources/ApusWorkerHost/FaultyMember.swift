import ApusErrors
import ApusExecution
import ApusTensor
import Foundation

/// The failures that one device of a group is to have next (`--chaos`).
package final class ArmedFaults: @unchecked Sendable {
    // `faults` is guarded by `lock`.
    private let lock = NSLock()
    private var faults: [StepFault] = []

    package init() {}

    func arm(_ fault: StepFault) {
        lock.withLock { faults.append(fault) }
    }

    func take() -> StepFault? {
        lock.withLock { faults.isEmpty ? nil : faults.removeFirst() }
    }
}

/// A device of a group that fails as it is told, so that its failure takes the way that a real one takes.
final class FaultyMember: Executor {
    let executor: any Executor
    fileprivate let faults: ArmedFaults

    init(_ executor: any Executor, _ faults: ArmedFaults) {
        self.executor = executor
        self.faults = faults
    }

    var device: DeviceID { executor.device }
    var laneCount: Int { executor.laneCount }

    func load(_ request: LoadRequest) async throws(ApusError) -> any LoadedModel {
        FaultyModel(model: try await executor.load(request), faults: faults)
    }

    func submit(_ work: @escaping @Sendable () -> Void) { executor.submit(work) }

    func prepare<Value: Sendable>(
        _ work: @escaping @Sendable () throws(ApusError) -> Value
    ) async throws(ApusError) -> Value {
        try await executor.prepare(work)
    }

    func memory() async throws(ApusError) -> DeviceMemory { try await executor.memory() }
    func clearCache() async throws(ApusError) { try await executor.clearCache() }

    func profile(steps: Int, into directory: String) async throws(ApusError) {
        try await executor.profile(steps: steps, into: directory)
    }

    func shutdown() async { await executor.shutdown() }
}

private struct FaultyModel: LoadedModel {
    let model: any LoadedModel
    let faults: ArmedFaults

    var inputs: [ValueDescription] { model.inputs }
    var outputs: [ValueDescription] { model.outputs }
    var assignment: NodeAssignment { model.assignment }
    var buffers: SharedBuffers { model.buffers }

    func run(_ inputs: [String: HostTensor], output: Int, memory: WorkingMemory) throws(ApusError) -> HostTensor {
        guard let fault = faults.take() else { return try model.run(inputs, output: output, memory: memory) }
        return try fault.carryOut { () throws(ApusError) in try model.run(inputs, output: output, memory: memory) }
    }

    func run(_ inputs: [String: HostTensor], outputs: [Int], memory: WorkingMemory) throws(ApusError) -> [HostTensor] {
        guard let fault = faults.take() else { return try model.run(inputs, outputs: outputs, memory: memory) }
        return try fault.carryOut { () throws(ApusError) in try model.run(inputs, outputs: outputs, memory: memory) }
    }
}
