import ApusErrors
import ApusExecution
import Foundation

/// A model held by a worker.
final class WorkerModel: LoadedModel, @unchecked Sendable {
    // `pace` is guarded by `lock`.

    let inputs: [ValueDescription]
    let outputs: [ValueDescription]
    let assignment: NodeAssignment
    var buffers: SharedBuffers { process.buffers }
    private let name: String
    private let number: UInt32
    private let process: WorkerProcess
    private let lock = NSLock()
    private var pace = StepPace()

    init(_ name: String, number: UInt32, _ outline: ModelOutline, _ process: WorkerProcess) {
        self.name = name
        self.number = number
        self.process = process
        inputs = outline.inputs
        outputs = outline.outputs
        assignment = outline.assignment
    }

    deinit {
        process.unload(number)
    }

    func run(_ tensors: [String: HostTensor], output: Int, memory: WorkingMemory) throws(ApusError) -> HostTensor {
        guard outputs.indices.contains(output) else {
            throw ApusError(.engineFailure, "there is no output \(output)", place: name)
        }
        var ordered: [HostTensor] = []
        ordered.reserveCapacity(inputs.count)
        for input in inputs {
            guard let tensor = tensors[input.name] else {
                throw ApusError(.engineFailure, "input '\(input.name)' is missing", place: name)
            }
            ordered.append(tensor)
        }
        let channel = process.channel
        let size = StepPace.Size(ordered)
        let seconds = lock.withLock { pace.deadlineSeconds(size, first: process.options.firstStepDeadline) }
        let start = AwakeClock.monotonic
        let fault = fault(on: channel)
        let result = try process.perform(on: channel) { channel throws(WorkerChannel.Failure) in
            try channel.step(
                StepRequest(model: number, output: output, memory: memory, fault: fault?.fault, faultyMember: fault?.member ?? 0, inputs: []), ordered,
                returning: outputs[output].elementType, into: process.buffers, within: Self.nanoseconds(seconds))
        }
        lock.withLock { pace.learn(size, seconds: Double(AwakeClock.monotonic - start) / 1e9) }
        return result
    }

    /// Known answers run on the loader's channel and are never hit.
    private func fault(on channel: WorkerChannel) -> (fault: StepFault, member: UInt16)? {
        guard channel.index != 0 else { return nil }
        var first: (fault: StepFault, member: UInt16)?
        // Every device is asked: each counts its runs.
        for (member, injector) in process.options.faults.enumerated() {
            guard let fault = injector?.faultForNextStep(), first == nil else { continue }
            first = (fault, UInt16(clamping: member))
        }
        return first
    }

    /// Cut to a day: steps that are expected to take longer are not run.
    private static func nanoseconds(_ seconds: Double) -> Int64 {
        Int64(min(max(seconds, 0), 86_400) * 1e9)
    }
}
