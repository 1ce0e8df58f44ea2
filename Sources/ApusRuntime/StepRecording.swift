import ApusErrors
import ApusExecution
import ApusORT
import ApusTensor
import Foundation

/// The profiles of a number of steps, from the first ticket to the files.
///
/// The engine writes one trace for each run, into a hidden folder beside the result. When all steps have ended, those of a model become
/// one file on a common time line.
final class StepRecording: Sendable {
    /// Lets one step be profiled.
    struct Ticket: Sendable {
        let step: Int
        /// What the name of the step's trace begins with.
        let prefix: String
        fileprivate let started: ContinuousClock.Instant
        fileprivate let recording: StepRecording

        /// To be called once, when the step has ended, well or not.
        func finish(model: SessionModel) {
            recording.end(self, model)
        }
    }

    private struct State {
        var handedOut = 0
        var running = 0
        var stopped = false
        var written = false
        var traces: [ObjectIdentifier: ModelTraces] = [:]
    }

    private let steps: Int
    private let device: DeviceID
    private let folder: ProfileFolder
    private let origin = ContinuousClock.now
    private let began = Date()
    private let writer: LaneThreads
    private let state = Guarded(State())

    /// Throws `file_unwritable` when the folder for the profiles cannot be made.
    init(steps: Int, device: DeviceID, directory: String, writer: LaneThreads) throws(ApusError) {
        self.steps = steps
        self.device = device
        self.writer = writer
        folder = try ProfileFolder(directory: directory)
    }

    /// Nil when all were handed out.
    func ticket() -> Ticket? {
        state.withLock { state in
            guard state.handedOut < steps, !state.stopped else { return nil }
            state.handedOut += 1
            state.running += 1
            let step = state.handedOut
            return Ticket(
                step: step, prefix: folder.hidden.appendingPathComponent("step-\(step)").path, started: .now, recording: self)
        }
    }

    /// Hands out no more tickets. The files come when the steps that run have ended.
    func stop() {
        state.withLock { $0.stopped = true }
        writeIfEnded()
    }

    private func end(_ ticket: Ticket, _ model: SessionModel) {
        let microseconds = Int((ticket.started - origin) / .microseconds(1))
        state.withLock { state in
            state.running -= 1
            state.traces[ObjectIdentifier(model), default: ModelTraces(model: model.name)].steps.append(
                ModelTraces.Step(number: ticket.step, prefix: ticket.prefix, microseconds: microseconds))
        }
        writeIfEnded()
    }

    private func writeIfEnded() {
        let traces: [ModelTraces]? = state.withLock { state in
            guard state.running == 0, state.stopped || state.handedOut == steps, !state.written else { return nil }
            state.written = true
            return Array(state.traces.values)
        }
        guard let traces else { return }
        // No lane is kept from its next step, and no caller from its result.
        writer.submit { self.write(traces) }
    }

    private func write(_ traces: [ModelTraces]) {
        for trace in traces {
            do {
                let file = try trace.write(to: folder.finished, by: folder.hidden, device: device, began: began)
                EngineLog.notice("profile of \(trace.steps.count) steps of '\(trace.model)' on \(device): \(file)")
            } catch {
                EngineLog.warning("a profile of '\(trace.model)' on \(device) could not be written to \(folder.finished.path): \(error)")
            }
        }
        folder.clean()
    }
}
