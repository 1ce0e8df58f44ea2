import ApusErrors
import ApusExecution
import ApusTensor
import ApusWorkers
import Foundation
import Synchronization

/// The worker's end of a lane or of the loader's channel: one request after the other, each answered before the next is read.
final class HostChannel: @unchecked Sendable {
    // `region` belongs to the thread that serves.
    private let socket: FrameSocket
    private let models: HostedModels
    private var region: SharedRegion
    private let steps = Atomic<UInt64>(0)

    init(_ socket: FrameSocket, _ region: consuming SharedRegion, _ models: HostedModels) {
        self.socket = socket
        self.region = region
        self.models = models
    }

    /// Steps ended here.
    var endedSteps: UInt64 { steps.load(ordering: .relaxed) }

    /// Serves until the front is gone. Runs on the channel's thread, on which every step of it runs. `other` answers what is no step.
    func serve(_ other: (Frame) throws(ApusError) -> Frame?) -> Never {
        var decoder = FrameDecoder()
        while true {
            do throws(FrameFault) {
                let frame = try socket.receive(&decoder)
                try socket.send(try answer(frame, other))
            } catch {
                ProcessEnd.after(error)
            }
        }
    }

    /// Serves steps from a thread of its own.
    func start(_ name: String) {
        let thread = Thread { [self] in
            Thread.current.name = name
            serve { _ in nil }
        }
        // Deep operator nesting inside the engine runs on this stack.
        thread.stackSize = 8 << 20
        thread.start()
    }

    private func answer(_ frame: Frame, _ other: (Frame) throws(ApusError) -> Frame?) throws(FrameFault) -> Frame {
        let request = frame.kind == .step ? try StepRequest(decoding: frame.payload) : nil
        do throws(ApusError) {
            if let request {
                defer { steps.add(1, ordering: .relaxed) }
                return try step(request, frame.sequence)
            }
            if let answer = try other(frame) { return answer }
        } catch {
            return try failure(error, frame.sequence)
        }
        throw .malformed("\(frame.kind) on the wrong channel")
    }

    private func step(_ request: StepRequest, _ sequence: UInt64) throws(ApusError) -> Frame {
        guard let model = models[request.model] else {
            throw ApusError(.engineFailure, "model \(request.model) is not loaded here")
        }
        var inputs: [String: HostTensor] = [:]
        for input in request.inputs {
            guard model.inputs.indices.contains(input.index), try region.reaches(input.tensor.end),
                let tensor = region.read(input.tensor, into: model.buffers)
            else {
                throw ApusError(.engineFailure, "input \(input.index) is not where the step says, or none of the model's")
            }
            inputs[model.inputs[input.index].name] = tensor
        }
        guard model.outputs.indices.contains(request.output) else {
            throw ApusError(.engineFailure, "there is no output \(request.output)")
        }
        let run = { () throws(ApusError) in try model.run(inputs, output: request.output, memory: request.memory) }
        let output: HostTensor
        if let fault = request.fault, !models.arm(fault, member: Int(request.faultyMember)) { output = try fault.carryOut(run) } else { output = try run() }
        model.buffers.recycle(inputs.values)
        var payload: [UInt8] = []
        for placement in try region.place([output]) { placement.encode(into: &payload) }
        model.buffers.recycle(output)
        return Frame(.result, sequence: sequence, payload: payload)
    }

    /// The answer to a request that failed. After a failure that poisons the device it is the last: it is sent here, and the process ends.
    private func failure(_ error: ApusError, _ sequence: UInt64) throws(FrameFault) -> Frame {
        guard StickyError.isSticky(error) else {
            return Frame(.failure, sequence: sequence) { error.write(to: &$0) }
        }
        var poisoned = error
        poisoned.code = .devicePoisoned
        try socket.send(Frame(.failure, sequence: sequence) { poisoned.write(to: &$0) })
        ProcessEnd.now(WorkerExit.sticky)
    }
}
