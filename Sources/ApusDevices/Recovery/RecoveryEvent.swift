package import ApusErrors
package import ApusExecution

/// What happens to a device, as ``DeviceRecovery`` is told.
///
/// Workers are numbered by the action that started them; what comes late from a worker that was given up is known by its number and
/// changes nothing.
package enum RecoveryEvent: Sendable, Equatable {
    /// The device is to serve.
    case started
    /// The device is to serve no more, by a decision that has nothing to do with its health (a stand-in that is not needed).
    case retired
    /// The worker runs and has loaded what it is to load.
    case workerReady(worker: Int)
    /// The worker could not be started or could not load; it is gone.
    case spawnFailed(worker: Int, ApusError.Code)
    /// One round of known answers, of every model loaded, was computed.
    case knownAnswer(worker: Int, KnownAnswer)
    case batch(BatchReport)
    /// The process of the worker ended. May come before or after the reports of the batches that it was running.
    case workerDied(worker: Int, WorkerDeath)
    case verdict(HealthVerdict)
    /// The driver reported an Xid.
    case xid(Int)
    /// NVML field 230, told with every sample that has it.
    case advice(RecoveryAdvice)
    /// Fallen off the bus.
    case deviceLost
    /// The device failed while it was one of a group, whose worker is gone.
    case failedInGroup(DeviceFailure)
    /// Somebody asks for the device to be tried now.
    case operatorProbe
    /// The time that ``DeviceRecovery/nextWake`` named has come.
    case wake

    /// What a sample tells besides its verdict, in the order in which it is to be handled.
    package static func events(of sample: DeviceSample) -> [RecoveryEvent] {
        var events = sample.xids.map(RecoveryEvent.xid)
        switch sample.answer {
        case .lost: events.append(.deviceLost)
        case .needsReset: events.append(.advice(sample.recovery.flatMap { $0 == .none ? nil : $0 } ?? .reset))
        case .given, .failed: if let advice = sample.recovery { events.append(.advice(advice)) }
        }
        return events
    }
}

/// How a known answer came out.
package enum KnownAnswer: Sendable, Equatable {
    case right
    /// The device computes something else: it cannot be trusted.
    case wrong
    /// No answer: an error, or none in time.
    case failed
}

/// The end of a worker's process.
package struct WorkerDeath: Sendable, Equatable {
    package enum Cause: String, Sendable, CaseIterable {
        /// By a signal of its own making, or an exit.
        case crashed
        /// By itself, because its device context is poisoned.
        case sticky
        /// By somebody outside (SIGKILL, SIGTERM).
        case killed
        /// By the front, because it gave no answer in time.
        case hung
        /// By the front, on purpose.
        case stopped
    }

    package var cause: Cause
    /// Batches that it was running. With none, nobody but the device can be to blame.
    package var running: Int

    package init(_ cause: Cause, running: Int) {
        self.cause = cause
        self.running = running
    }
}
