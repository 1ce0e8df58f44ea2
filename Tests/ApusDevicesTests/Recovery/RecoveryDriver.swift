import ApusDevices
import ApusErrors
import ApusExecution
import ApusTensor

/// Feeds one ``DeviceRecovery`` with events at times told in seconds.
struct RecoveryDriver {
    var recovery: DeviceRecovery
    private(set) var now = 0

    init(_ kind: DeviceID.Kind = .cuda, _ policy: RecoveryPolicy = .standard) {
        recovery = DeviceRecovery(device: DeviceID(kind, 0), policy: policy)
    }

    var seconds: Double { Double(now) / 1e9 }

    /// What is wanted, without the lines for the log.
    @discardableResult
    mutating func send(_ event: RecoveryEvent, after seconds: Double = 0) -> [RecoveryAction] {
        now += Int(seconds * 1e9)
        return recovery.handle(event, now: now).filter { if case .note = $0 { false } else { true } }
    }

    /// Moves to the moment that the device wants to be woken at.
    @discardableResult
    mutating func sleep() -> [RecoveryAction] {
        guard let wake = recovery.nextWake else { return [] }
        now = wake
        return send(.wake)
    }

    @discardableResult
    mutating func batch(_ result: BatchReport.Result, after seconds: Double = 0, took: Double = 0.01) -> [RecoveryAction] {
        send(
            .batch(BatchReport(device: recovery.device, result: result, sequences: 4, tokens: 40, seconds: took)),
            after: seconds + took)
    }

    mutating func succeed(_ count: Int) {
        for _ in 0..<count { batch(.succeeded) }
    }

    @discardableResult
    mutating func die(_ cause: WorkerDeath.Cause, running: Int = 0, after seconds: Double = 0) -> [RecoveryAction] {
        send(.workerDied(worker: recovery.currentWorker ?? -1, WorkerDeath(cause, running: running)), after: seconds)
    }

    /// Brings a device that waits, or a new one, to serve: every event comes as one would wish. Returns the last actions.
    @discardableResult
    mutating func serve(startup seconds: Double = 0.5) -> [RecoveryAction] {
        if recovery.stage == .healthy, !recovery.isServing { send(.started) }
        while recovery.currentWorker == nil, recovery.nextWake != nil { sleep() }
        guard let worker = recovery.currentWorker else { return [] }
        send(.workerReady(worker: worker), after: seconds)
        var actions: [RecoveryAction] = []
        for _ in 0..<recovery.policy.probes.rightAnswers { actions = send(.knownAnswer(worker: worker, .right)) }
        return actions
    }

    static func serving(_ kind: DeviceID.Kind = .cuda, _ policy: RecoveryPolicy = .standard) -> RecoveryDriver {
        var driver = RecoveryDriver(kind, policy)
        driver.serve()
        return driver
    }
}
