import ApusErrors
import ApusExecution
import ApusORT
import ApusTensor
import Foundation
import Synchronization

/// Hands out tickets to the steps that are to be profiled.
final class StepProfiler: Sendable {
    static let maxSteps = 1000

    private let recording = Guarded<StepRecording?>(nil)
    /// Spares steps the lock while nothing is taken down, which is nearly always.
    private let active = Atomic<Bool>(false)

    deinit {
        finish()
    }

    /// Starts to take down `steps` steps. Files are written on `writer`.
    func begin(steps: Int, device: DeviceID, directory: String, writer: LaneThreads) throws(ApusError) {
        guard (1...Self.maxSteps).contains(steps) else {
            throw ApusError(.invalidValue, "\(steps) steps cannot be profiled, 1 to \(Self.maxSteps) can", place: "steps")
        }
        let started = try StepRecording(steps: steps, device: device, directory: directory, writer: writer)
        let previous = recording.withLock { recording in
            let previous = recording
            recording = started
            active.store(true, ordering: .releasing)
            return previous
        }
        previous?.stop()
    }

    /// A ticket for the step that is about to run; nil when it is not to be profiled.
    func next() -> StepRecording.Ticket? {
        guard active.load(ordering: .acquiring) else { return nil }
        return recording.withLock { recording in
            if let ticket = recording?.ticket() { return ticket }
            active.store(false, ordering: .releasing)
            recording = nil
            return nil
        }
    }

    /// Ends what is being taken down, with the steps it has.
    func finish() {
        let previous = recording.withLock { recording in
            let previous = recording
            recording = nil
            active.store(false, ordering: .releasing)
            return previous
        }
        previous?.stop()
    }
}
