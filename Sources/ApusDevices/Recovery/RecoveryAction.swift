/// What ``DeviceRecovery`` wants done. Actions are to be carried out in their order.
package enum RecoveryAction: Sendable, Equatable {
    package enum Level: String, Sendable, CaseIterable {
        case info, warning, error
    }

    /// Start a worker of this number now, load all models, and answer with `workerReady` or `spawnFailed`. There is no other worker of the
    /// device at this time, though the process of one that was killed may still be on its way out.
    case startWorker(worker: Int)
    /// Kill the worker and forget it: nothing that it still says counts. Waits for nothing.
    case killWorker(worker: Int)
    /// Ask the worker for its known answers this many times, one after the other, and report each.
    case prove(worker: Int, times: Int)
    /// Give the worker work.
    case admit(worker: Int)
    /// Give the worker no more work. What it runs may end, unless `killWorker` follows.
    case withdraw(worker: Int, RecoveryReason)
    /// Share of the work that the device gets, above 0 to 1. Told after every `admit` and whenever it changes while the device serves.
    case setWeight(Double)
    /// Share of the limits of a batch that may be filled, above 0 to 1. Told after every `admit` and whenever it changes while the device
    /// serves.
    case setBatchShare(Double)
    /// A line for the log.
    case note(Level, String)
}

/// Why a device does not serve, or did not.
package struct RecoveryReason: Sendable, Equatable, CustomStringConvertible {
    /// Few enough for a metric's label.
    package enum Code: String, Sendable, CaseIterable {
        case starting
        case retired
        case crashed = "worker_crashed"
        case poisoned = "device_poisoned"
        case killed = "worker_killed"
        case hung = "device_hung"
        case stopped = "worker_stopped"
        case spawnFailed = "spawn_failed"
        case wrongAnswer = "wrong_answer"
        case noAnswer = "no_answer"
        case failingBatches = "failing_batches"
        case overheated
        case restarts = "too_many_restarts"
        case xid
        case needsReset = "needs_reset"
        case memoryFault = "memory_fault"
        case lost = "device_lost"
    }

    package let code: Code
    /// One sentence with the figures.
    package let text: String

    package init(_ code: Code, _ text: String) {
        self.code = code
        self.text = text
    }

    package var description: String { text }
}

/// How far a device is from health, in the order of severity.
package enum DeviceStage: String, Sendable, CaseIterable {
    case healthy
    /// Serves at reduced weight until it has been inconspicuous for a while.
    case suspect
    /// Serves with smaller batches after it ran out of memory.
    case shrunk
    /// Does not serve; a worker is being started or proven, or waits for its back-off. Also before the first worker serves.
    case restarting
    /// Does not serve and is not tried again before an operator asks, or the driver reports that the device was reset.
    case quarantined
    /// Fallen off the bus: only a restart of the machine brings it back, and so only a fresh process uses it again.
    case lost
}
