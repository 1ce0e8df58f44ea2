import ApusErrors
import ApusExecution
import ApusTensor

extension DeviceRecovery {
    /// What is left of a worker when it is given up.
    enum Remains {
        case alive
        case gone
    }

    mutating func start(_ now: Int) {
        guard phase == .idle else { return }
        lastReason = RecoveryReason(.starting, "its first worker is being started")
        awaySince = now
        phase = .waiting(since: now, until: earliestStart(now, after: 0))
    }

    mutating func retire(_ now: Int) {
        switch phase {
        case .idle, .quarantined, .lost: return
        case .waiting, .starting, .proving, .serving: break
        }
        leave(RecoveryReason(.retired, "it is not needed"), .alive, now)
        awaySince = nil
        inspectsAt = nil
        phase = .idle
    }

    mutating func workerIsReady(_ number: Int, _ now: Int) {
        guard number == worker, case .starting = phase else { return }
        phase = .proving(since: now, right: 0)
        starvations = 0
        actions.append(.prove(worker: worker, times: policy.probes.rightAnswers))
    }

    mutating func workerDidNotStart(_ number: Int, _ code: ApusError.Code, _ now: Int) {
        guard number == worker, case .starting = phase else { return }
        switch code {
        case .deviceLost: lose("its worker found it gone", now, .gone)
        case .resourcesExhausted: starve(now)
        default: setBack(RecoveryReason(.spawnFailed, "worker \(worker) did not start: \(code.rawValue)"), .gone, now)
        }
    }

    /// The system could not start a worker, which says nothing about the device: tried again, less and less often, without end.
    private mutating func starve(_ now: Int) {
        starvations += 1
        leave(RecoveryReason(.spawnFailed, "the system had nothing left to start worker \(worker) with"), .gone, now)
        let restarts = policy.restarts
        let delay = Self.doubled(restarts.backoffStart.wholeNanoseconds, starvations - 1, restarts.backoffMax.wholeNanoseconds)
        phase = .waiting(since: now, until: earliestStart(now, after: delay))
    }

    mutating func answered(_ number: Int, _ answer: KnownAnswer, _ now: Int) {
        guard number == worker else { return }
        switch (phase, answer) {
        case (.proving(let since, let right), .right):
            phase = .proving(since: since, right: right + 1)
            if right + 1 >= policy.probes.rightAnswers { admit(now) }
        case (.proving, .wrong), (.serving, .wrong):
            setBack(RecoveryReason(.wrongAnswer, "worker \(worker) gave a wrong known answer"), .alive, now)
        case (.proving, .failed):
            setBack(RecoveryReason(.noAnswer, "worker \(worker) could not compute its known answer"), .alive, now)
        case (.serving, .failed):
            failedBatch(RecoveryReason(.noAnswer, "worker \(worker) could not compute its known answer"), now)
        default: break
        }
    }

    private mutating func admit(_ now: Int) {
        phase = .serving
        admittedAt = now
        inspectedAt = now
        inspectsAt = now.addingSaturated(policy.probes.inspectionInterval.wholeNanoseconds)
        lastOutage = awaySince.map { now - $0 }
        awaySince = nil
        actions += [.admit(worker: worker), .setWeight(weight), .setBatchShare(batchShare)]
        note(.info, "serves\(isOnTrial ? " on trial" : ""): worker \(worker) gave \(policy.probes.rightAnswers) right answers")
    }

    mutating func workerDied(_ number: Int, _ death: WorkerDeath, _ now: Int) {
        guard number == currentWorker else { return }
        switch death.cause {
        case .killed, .stopped: respawn(deathReason(death.cause), now)
        case .crashed, .sticky, .hung:
            let reason = deathReason(death.cause)
            if death.running > 0 { suspendBlame(reason, .gone, now) } else { setBack(reason, .gone, now) }
        }
    }

    func deathReason(_ cause: WorkerDeath.Cause) -> RecoveryReason {
        RecoveryReason(cause.code, "worker \(worker) \(cause.sentence)")
    }

    /// Nobody's fault: a new worker at once, or as soon as starts may follow each other.
    private mutating func respawn(_ reason: RecoveryReason, _ now: Int) {
        leave(reason, .gone, now)
        phase = .waiting(since: now, until: earliestStart(now, after: 0))
    }

    /// The worker died over a batch, and it is not known yet whose fault it was. Its successor waits as if it were the device's.
    mutating func suspendBlame(_ reason: RecoveryReason, _ remains: Remains, _ now: Int) {
        deaths.add(.undecided, now: now)
        replaceWorker(reason, remains, after: backoff(setbacks: setbacks + 1), now)
    }

    /// The device's own fault: its worker is replaced after the back-off, unless that happened too often.
    mutating func setBack(_ reason: RecoveryReason, _ remains: Remains, _ now: Int) {
        deaths.add(.device, charge(batches: 0), now: now)
        if deaths.counted > policy.restarts.limit {
            giveUp(tooManyRestarts(after: reason), remains, now)
        } else {
            replaceWorker(reason, remains, after: backoff(setbacks: setbacks), now)
        }
    }

    mutating func replaceWorker(_ reason: RecoveryReason, _ remains: Remains, after delay: Int, _ now: Int) {
        leave(reason, remains, now)
        phase = .waiting(since: now, until: earliestStart(now, after: delay))
        note(.warning, "is restarted: \(reason)")
    }

    /// Quarantine, or for a CPU device the longest back-off there is.
    mutating func giveUp(_ reason: RecoveryReason, _ remains: Remains, _ now: Int) {
        isOnTrial = true
        guard device.kind.isAccelerator else {
            let longest = policy.restarts.backoffMax.wholeNanoseconds
            return replaceWorker(reason, remains, after: max(longest, backoff(setbacks: setbacks)), now)
        }
        // Of several reasons the one that is hardest to get out of stays.
        if case .quarantined(let code) = phase, code != .restarts || reason.code == .restarts { return }
        leave(reason, remains, now)
        phase = .quarantined(reason.code)
        note(.error, "is quarantined: \(reason). It is tried again when an operator asks, or when the driver reports that it was reset")
    }

    /// There is no way back within this process. A CPU device cannot be gone: its worker is replaced.
    mutating func lose(_ text: String, _ now: Int, _ remains: Remains = .alive) {
        guard phase != .lost, phase != .idle else { return }
        guard device.kind.isAccelerator else {
            if currentWorker != nil { setBack(RecoveryReason(.lost, text), remains, now) }
            return
        }
        leave(RecoveryReason(.lost, text), remains, now)
        phase = .lost
        note(.error, "is lost: \(text). Restart the machine, and this server with it, to use it again")
    }

    /// Takes the device out of service, whatever phase it is in.
    mutating func leave(_ reason: RecoveryReason, _ remains: Remains, _ now: Int) {
        lastReason = reason
        awaySince = awaySince ?? now
        inspectsAt = nil
        if isServing { actions.append(.withdraw(worker: worker, reason)) }
        if remains == .alive, let currentWorker { actions.append(.killWorker(worker: currentWorker)) }
    }

    mutating func probe(_ now: Int) {
        hasFailedLink = false
        hasRestartedOnce = false
        switch phase {
        case .idle: start(now)
        case .starting, .proving: break
        case .serving: inspect(now)
        case .waiting, .quarantined: bringBack("an operator asked", now)
        case .lost: note(.warning, "is lost and was not probed: restart the machine, and this server with it, to use it again")
        }
    }

    /// Tries a device again that stays away. What it did is forgotten when it has run well for a while and not before.
    mutating func bringBack(_ cause: String, _ now: Int) {
        phase = .waiting(since: now, until: earliestStart(now, after: 0))
        note(.info, "is tried again: \(cause)")
    }
}

extension WorkerDeath.Cause {
    fileprivate var code: RecoveryReason.Code {
        switch self {
        case .crashed: .crashed
        case .sticky: .poisoned
        case .killed: .killed
        case .hung: .hung
        case .stopped: .stopped
        }
    }

    fileprivate var sentence: String {
        switch self {
        case .crashed: "crashed"
        case .sticky: "ended itself: its device context was poisoned"
        case .killed: "was killed from outside"
        case .hung: "gave no answer in time"
        case .stopped: "was stopped"
        }
    }
}
