extension DeviceRecovery {
    /// Does what has become due.
    mutating func settle(_ now: Int) {
        guard phase != .idle, phase != .lost else { return }
        deaths.forget(before: now)
        while let death = deaths.oldestUndecided, death.addingSaturated(policy.patience.blame.wholeNanoseconds) <= now {
            convict(now)
        }
        expireWorker(now)
        if case .waiting(_, let until) = phase, until <= now { startWorker(now) }
        if let time = suspectUntil, time <= now { trust() }
        if let time = growsAt, time <= now { grow(now) }
        if let time = inspectsAt, time <= now { inspect(now) }
    }

    private mutating func startWorker(_ now: Int) {
        worker += 1
        lastStart = now
        phase = .starting(since: now)
        actions.append(.startWorker(worker: worker))
    }

    /// An event that never comes must not keep the device away for ever.
    private mutating func expireWorker(_ now: Int) {
        switch phase {
        case .starting(let since) where since.addingSaturated(policy.patience.start.wholeNanoseconds) <= now:
            setBack(.init(.spawnFailed, "worker \(worker) was not ready within \(policy.patience.start)"), .alive, now)
        case .proving(let since, _) where since.addingSaturated(policy.patience.proof.wholeNanoseconds) <= now:
            setBack(.init(.noAnswer, "worker \(worker) gave no known answer within \(policy.patience.proof)"), .alive, now)
        default: break
        }
    }

    private mutating func trust() {
        suspectUntil = nil
        weight = 1
        note(.info, "was inconspicuous for \(policy.caution.suspectTime) and gets its full weight")
        if isServing { actions.append(.setWeight(weight)) }
    }

    private mutating func grow(_ now: Int) {
        batchShare = min(1, batchShare + policy.caution.shareStep)
        growsAt = batchShare < 1 ? now.addingSaturated(policy.caution.shrinkTime.wholeNanoseconds) : nil
        if isServing { actions.append(.setBatchShare(batchShare)) }
    }

    /// Asks the serving worker for a known answer.
    mutating func inspect(_ now: Int) {
        guard isServing else {
            inspectsAt = nil
            return
        }
        inspectedAt = now
        inspectsAt = now.addingSaturated(policy.probes.inspectionInterval.wholeNanoseconds)
        actions.append(.prove(worker: worker, times: 1))
    }

    /// How long the device stays away after as many setbacks as this.
    func backoff(setbacks: Int) -> Int {
        max(
            Self.doubled(policy.restarts.backoffStart.wholeNanoseconds, setbacks - 1, policy.restarts.backoffMax.wholeNanoseconds),
            Self.doubled(policy.probes.backoffStart.wholeNanoseconds, probes, policy.probes.backoffMax.wholeNanoseconds))
    }

    /// `first` for a count of 1, twice as much with every further one, at most `longest`; 0 for a count below 1.
    static func doubled(_ first: Int, _ count: Int, _ longest: Int) -> Int {
        guard count >= 1 else { return 0 }
        let (time, overflow) = first.multipliedReportingOverflow(by: 1 << min(count - 1, 40))
        return overflow ? longest : min(time, longest)
    }

    func earliestStart(_ since: Int, after delay: Int) -> Int {
        let spaced = lastStart?.addingSaturated(policy.restarts.spacing.wholeNanoseconds)
        return max(since.addingSaturated(delay), spaced ?? since)
    }

    mutating func note(_ level: RecoveryAction.Level, _ text: String) {
        actions.append(.note(level, "\(device) \(text)"))
    }
}
