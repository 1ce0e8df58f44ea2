package import ApusExecution
package import ApusTensor

/// Decides what becomes of one device and its worker: events in, actions out, no clock and no process. Times are nanoseconds on the
/// caller's clock.
///
/// A device that fails always comes back through a new process: it is withdrawn, its worker killed, and after a back-off the next worker
/// gives its known answers and is admitted, on trial until a number of batches went well. What leads where:
/// - failed batches in a row climb the ladder of DEV-7: retry, temporary fallback, permanent fallback;
/// - deaths by the device's own doing are restarted with growing back-off, and too many within a while quarantine the device; deaths that
///   an input is blamed for, and kills from outside, count for nothing;
/// - verdicts, Xids and the driver's recovery advice make a device suspect, replace its worker, quarantine it or give it up.
///
/// A CPU device is never given up: where another device would be quarantined, it is tried again after its longest back-off.
package struct DeviceRecovery: Sendable {
    enum Phase: Sendable, Equatable {
        /// Not asked to serve.
        case idle
        case waiting(since: Int, until: Int)
        case starting(since: Int)
        case proving(since: Int, right: Int)
        case serving
        case quarantined(RecoveryReason.Code)
        case lost
    }

    package let device: DeviceID
    package let policy: RecoveryPolicy

    var phase = Phase.idle
    /// Actions decided since the event came.
    var actions: [RecoveryAction] = []
    /// The number of the latest worker; the first is one above ``workersBefore``.
    var worker: Int
    /// The number of the last worker that the device had before.
    private let workersBefore: Int
    var lastStart: Int?
    var admittedAt = 0

    /// Failed batches in a row.
    var failures = 0
    /// Setbacks since the back-off was reset.
    var setbacks = 0
    /// Temporary fallbacks since the back-off was reset.
    var probes = 0
    /// Batches in a row that went well.
    var goodRuns = 0
    var deaths: DeathLedger
    /// Workers in a row that the system had no room to start.
    var starvations = 0

    var suspectUntil: Int?
    var shrunkAt: Int?
    var growsAt: Int?
    var inspectsAt: Int?
    var inspectedAt: Int?
    /// Whether an Xid that sources differ on was answered by a restart before.
    var hasRestartedOnce = false
    var latestAdvice = RecoveryAdvice.none

    /// Share of the work that the device gets, above 0 to 1.
    package internal(set) var weight = 1.0
    /// Share of the limits of a batch that may be filled, above 0 to 1.
    package internal(set) var batchShare = 1.0
    /// Whether the device was withdrawn for a failure and has not yet run enough batches well since it was admitted again.
    package internal(set) var isOnTrial = false
    /// Whether a link to other devices failed: the device may serve alone and not in a group.
    package internal(set) var hasFailedLink = false
    /// Workers started after the first.
    package var restartCount: Int { max(0, worker - workersBefore - 1) }
    /// The number of the latest worker.
    package var latestWorker: Int { worker }
    /// Why the device does not serve; while it serves, why it did not before.
    package internal(set) var lastReason: RecoveryReason?
    /// Since when the device has not served although it is to; nil while it serves.
    package internal(set) var awaySince: Int?
    /// How long the device was away before it was last admitted, nanoseconds.
    package internal(set) var lastOutage: Int?

    /// - Parameter workers: the number of the last worker that the device had before, so that what comes late from it is known as such.
    package init(device: DeviceID, policy: RecoveryPolicy = .standard, after workers: Int = 0) {
        self.device = device
        self.policy = policy
        worker = workers
        workersBefore = workers
        deaths = DeathLedger(window: policy.restarts.window.wholeNanoseconds, mostExcused: policy.patience.excusedDeaths)
    }

    package mutating func handle(_ event: RecoveryEvent, now: Int) -> [RecoveryAction] {
        settle(now)
        apply(event, now)
        settle(now)
        defer { actions.removeAll() }
        return actions
    }

    private mutating func apply(_ event: RecoveryEvent, _ now: Int) {
        switch event {
        case .started: start(now)
        case .retired: retire(now)
        case .workerReady(let number): workerIsReady(number, now)
        case .spawnFailed(let number, let code): workerDidNotStart(number, code, now)
        case .knownAnswer(let number, let answer): answered(number, answer, now)
        case .batch(let report): batchEnded(report, now)
        case .workerDied(let number, let death): workerDied(number, death, now)
        case .verdict(let verdict): judged(verdict, now)
        case .xid(let xid): xidReported(xid, now)
        case .advice(let advice): advised(advice, now)
        case .deviceLost: lose("the driver reports that it is gone", now)
        case .failedInGroup(let failure): failedInGroup(failure, now)
        case .operatorProbe: probe(now)
        case .wake: break
        }
    }
}

extension DeviceRecovery {
    package var stage: DeviceStage {
        switch phase {
        case .lost: .lost
        case .quarantined: .quarantined
        case .waiting, .starting, .proving: .restarting
        case .idle, .serving: batchShare < 1 ? .shrunk : weight < 1 ? .suspect : .healthy
        }
    }

    /// What clients of a stand-in are told: whether the device is expected back by itself. A device that starts for the first time has not
    /// failed.
    package var fallback: FallbackStage {
        switch phase {
        case .idle, .serving: .none
        case .quarantined, .lost: .permanent
        case .waiting, .starting, .proving: lastReason?.code == .starting ? .none : .temporary
        }
    }

    package var isServing: Bool { phase == .serving }

    /// The number of the worker that runs or is being started.
    package var currentWorker: Int? {
        switch phase {
        case .starting, .proving, .serving: worker
        case .idle, .waiting, .quarantined, .lost: nil
        }
    }

    /// When the worker that is on its way was started or will be; nil while one serves or none is to come by itself.
    package var startsAt: Int? {
        switch phase {
        case .starting(let since), .proving(let since, _): since
        case .waiting(_, let until): until
        case .idle, .serving, .quarantined, .lost: nil
        }
    }

    /// When ``handle(_:now:)`` wants to be called with `wake` at the latest, later than the event before; nil when only another event
    /// changes anything.
    package var nextWake: Int? {
        let own: Int? =
            switch phase {
            case .idle, .lost: nil
            case .quarantined: nil
            case .waiting(_, let until): until
            case .starting(let since): since.addingSaturated(policy.patience.start.wholeNanoseconds)
            case .proving(let since, _): since.addingSaturated(policy.patience.proof.wholeNanoseconds)
            case .serving: inspectsAt
            }
        guard phase != .idle, phase != .lost else { return nil }
        let undecided = deaths.oldestUndecided?.addingSaturated(policy.patience.blame.wholeNanoseconds)
        return [own, suspectUntil, growsAt, undecided].compactMap { $0 }.min()
    }
}
