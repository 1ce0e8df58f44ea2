package import ApusErrors
package import ApusTensor

/// How a step or a load failed, as far as the device is concerned. Told by the error's code alone.
package enum DeviceFailure: String, Sendable, CaseIterable {
    /// Not enough memory. The device goes on; a smaller batch may fit.
    case outOfMemory = "out_of_memory"
    /// The engine refused the step. Device and process go on.
    case engine = "engine_failure"
    /// The device context is poisoned: only a new process can use the device again. The worker has ended itself.
    case sticky = "device_poisoned"
    /// No answer within the time allowed. The worker has been killed.
    case hung = "device_hung"
    /// The worker ended by its own doing: a trap, a signal such as SIGSEGV, an exit.
    case crashed = "worker_crashed"
    /// Somebody else ended the worker (SIGKILL, SIGTERM): neither the device nor the input is to blame.
    case killed = "worker_killed"
    /// The device is gone until the machine restarts.
    case lost = "device_lost"
    /// The device is not serving now: the worker is being replaced, or the executor was shut down. The step never started.
    case unavailable = "device_unavailable"
}

extension ApusError.Code {
    package static let devicePoisoned = Self(rawValue: DeviceFailure.sticky.rawValue)
    package static let deviceHung = Self(rawValue: DeviceFailure.hung.rawValue)
    package static let workerCrashed = Self(rawValue: DeviceFailure.crashed.rawValue)
    package static let workerKilled = Self(rawValue: DeviceFailure.killed.rawValue)
    package static let deviceLost = Self(rawValue: DeviceFailure.lost.rawValue)
    package static let deviceUnavailable = Self(rawValue: DeviceFailure.unavailable.rawValue)
    /// What was asked of a device needs it to be there again, which only a restart of the machine brings about.
    package static let deviceGone = Self(rawValue: "device_gone")
    /// The system has no files, processes or memory left to start a worker with: no fault of any device.
    package static let resourcesExhausted = Self(rawValue: "resources_exhausted")
}

extension ApusError {
    /// What this error says about the device; nil for errors that say nothing (bad input, deadlines).
    package var deviceFailure: DeviceFailure? { DeviceFailure(rawValue: code.rawValue) }

    /// The device of a group that failed so; nil where that is not known. The end of a worker's process is told of the device whose name the
    /// group goes by, and says nothing about it; that it was lost only a device itself can tell.
    package func culprit(inGroupOf lead: DeviceID) -> DeviceID? {
        guard let device = place.flatMap({ DeviceID($0) }) else { return nil }
        return device != lead || deviceFailure == .lost ? device : nil
    }
}
