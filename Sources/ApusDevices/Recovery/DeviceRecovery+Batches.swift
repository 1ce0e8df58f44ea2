import ApusExecution
import ApusTensor

extension DeviceRecovery {
    mutating func batchEnded(_ report: BatchReport, _ now: Int) {
        guard report.device == device else { return }
        switch report.result {
        case .succeeded: batchSucceeded()
        case .failed(.unavailable, _), .failed(.killed, _): break
        case .failed(.lost, _):
            // A device that is gone is gone, whichever worker found out.
            guard device.kind.isAccelerator || (isServing && report.began(now) >= admittedAt) else { return }
            lose("a batch found it gone", now)
        case .failed(.sticky, let blame), .failed(.hung, let blame), .failed(.crashed, let blame):
            workerDiedOverBatch(report, blame, now)
        case .failed(.outOfMemory, let blame): ranOutOfMemory(report, blame, now)
        case .failed(.engine, .device): failedBatch(RecoveryReason(.failingBatches, "the engine failed"), now)
        case .failed(.engine, _): break
        }
    }

    private mutating func batchSucceeded() {
        guard isServing else { return }
        deaths.ranWell()
        goodRuns += 1
        // On trial one good batch proves little: a device that fails every other one must still climb the ladder.
        if !isOnTrial { failures = 0 }
        guard goodRuns >= policy.probes.goodRuns else { return }
        if isOnTrial { note(.info, "ran \(goodRuns) batches well and is on trial no more") }
        isOnTrial = false
        failures = 0
        setbacks = 0
        probes = 0
        deaths.dropCharges()
    }

    /// The device failed a batch and its worker lives: DEV-7's ladder.
    mutating func failedBatch(_ reason: RecoveryReason, _ now: Int) {
        guard isServing else { return }
        goodRuns = 0
        failures += 1
        if failures > policy.ladder.temporaryLimit {
            probes += 1
            giveUp(RecoveryReason(reason.code, "\(reason), \(failures) batches failed in a row"), .alive, now)
        } else if isOnTrial || failures > policy.ladder.retryLimit {
            isOnTrial = true
            probes += 1
            let text = "\(reason), \(failures) \(failures == 1 ? "batch" : "batches") failed in a row"
            replaceWorker(RecoveryReason(reason.code, text), .alive, after: backoff(setbacks: setbacks), now)
        }
    }

    private mutating func ranOutOfMemory(_ report: BatchReport, _ blame: BatchReport.Blame, _ now: Int) {
        // Steps that were under way when batches were cut say nothing about the smaller ones.
        guard isServing, blame != .input, report.began(now) >= max(shrunkAt ?? .min, admittedAt) else { return }
        shrink(now)
        if blame == .device { failedBatch(RecoveryReason(.failingBatches, "it ran out of memory"), now) }
    }

    mutating func shrink(_ now: Int) {
        shrunkAt = now
        growsAt = now.addingSaturated(policy.caution.shrinkTime.wholeNanoseconds)
        let share = max(policy.caution.smallestShare, batchShare / 2)
        guard share < batchShare else { return }
        batchShare = share
        note(.warning, "is short of memory: batches shrink to \(share) of their limit")
        if isServing { actions.append(.setBatchShare(share)) }
    }

    /// A batch ended its worker. Its report comes before the news of the death or after it, and may come again when an input is blamed.
    private mutating func workerDiedOverBatch(_ report: BatchReport, _ blame: BatchReport.Blame, _ now: Int) {
        if isServing, report.seconds > 0, report.began(now) >= admittedAt {
            // Killed to be sure: the news of its death is not here yet.
            suspendBlame(deathReason(report.result.deathCause), .alive, now)
        }
        switch blame {
        case .device: convict(now)
        case .input: excuse(now)
        case .nobody: break
        }
    }

    /// Puts the oldest undecided death down to the device.
    mutating func convict(_ now: Int) {
        guard deaths.oldestUndecided != nil else { return }
        deaths.convictOldest(charge(batches: 1))
        replanStart()
        guard deaths.counted > policy.restarts.limit || failures > policy.ladder.temporaryLimit else { return }
        // A CPU device that has a worker again keeps it: it is wanted whatever it did, and would be started anew at any rate.
        if device.kind.isAccelerator || currentWorker == nil { giveUp(tooManyRestarts(after: lastReason), .alive, now) }
    }

    /// Puts the latest death down to an input.
    private mutating func excuse(_ now: Int) {
        guard let charge = deaths.excuseLatest() else { return }
        setbacks = max(0, setbacks - charge.setbacks)
        failures = max(0, failures - charge.failures)
        probes = max(0, probes - charge.probes)
        if case .quarantined(.restarts) = phase, deaths.counted <= policy.restarts.limit {
            bringBack("an input was to blame", now)
        } else {
            replanStart()
        }
    }

    /// Counts what the device is to blame for, and says what that added.
    mutating func charge(batches: Int) -> DeathLedger.Charge {
        isOnTrial = true
        goodRuns = 0
        setbacks += 1
        failures += batches
        let probed = probes > 0 || failures > policy.ladder.retryLimit ? 1 : 0
        probes += probed
        return DeathLedger.Charge(setbacks: 1, failures: batches, probes: probed)
    }

    func tooManyRestarts(after reason: RecoveryReason?) -> RecoveryReason {
        // A reason of this kind holds the one before it: told again and again, it would grow without end.
        let last = reason.flatMap { $0.code == .restarts ? nil : ", the last because \($0)" } ?? ""
        return RecoveryReason(
            .restarts, "its worker failed \(deaths.counted) times within \(policy.restarts.window)\(last)")
    }

    /// The back-off is as long as is known now, not as was known when the worker died.
    private mutating func replanStart() {
        guard case .waiting(let since, _) = phase else { return }
        let undecided = deaths.oldestUndecided == nil ? 0 : 1
        phase = .waiting(since: since, until: earliestStart(since, after: backoff(setbacks: setbacks + undecided)))
    }
}

extension BatchReport {
    /// When the batch began, nanoseconds on the clock of `now`.
    fileprivate func began(_ now: Int) -> Int {
        let nanoseconds = seconds * 1e9
        guard nanoseconds > 0, nanoseconds < 1e18 else { return now }
        return now - Int(nanoseconds)
    }
}

extension BatchReport.Result {
    fileprivate var deathCause: WorkerDeath.Cause {
        switch self {
        case .failed(.sticky, _): .sticky
        case .failed(.hung, _): .hung
        default: .crashed
        }
    }
}
