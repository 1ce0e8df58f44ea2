import ApusTensor

extension DeviceRecovery {
    mutating func judged(_ verdict: HealthVerdict, _ now: Int) {
        guard phase != .idle, phase != .lost else { return }
        for finding in verdict.findings {
            switch (finding.subject, finding.outcome) {
            // Known answers come as events of their own, with the number of the worker that gave them.
            case (.knownAnswer, _), (_, .healthy): break
            // Lost and reset devices come as events of their own, with the sample that told of them.
            case (.answer, .fallBack): break
            case (.memory, .throttle): shrinkOnVerdict(now)
            case (.remappedRows, .fallBack), (.ecc, .fallBack):
                giveUpOnCondition(RecoveryReason(.memoryFault, finding.description), now)
            case (_, .fallBack): coolDown(RecoveryReason(.overheated, finding.description), now)
            case (_, .throttle): suspect(finding, now)
            case (_, .investigate):
                suspect(finding, now)
                inspectOnVerdict(now)
            }
        }
    }

    private mutating func suspect(_ finding: HealthVerdict.Finding, _ now: Int) {
        if suspectUntil == nil { note(.warning, "is suspect and gets \(policy.caution.suspectWeight) of its work: \(finding)") }
        suspectUntil = now.addingSaturated(policy.caution.suspectTime.wholeNanoseconds)
        guard weight != policy.caution.suspectWeight else { return }
        weight = policy.caution.suspectWeight
        if isServing { actions.append(.setWeight(weight)) }
    }

    private mutating func inspectOnVerdict(_ now: Int) {
        let spacing = policy.probes.inspectionSpacing.wholeNanoseconds
        guard isServing, inspectedAt.map({ $0.addingSaturated(spacing) <= now }) ?? true else { return }
        inspect(now)
    }

    private mutating func shrinkOnVerdict(_ now: Int) {
        guard isServing else { return }
        if let growsAt, growsAt > now, batchShare < 1 {
            // Shrunk already: stays so until memory is free again, and shrinks further only when batches fail.
            self.growsAt = now.addingSaturated(policy.caution.shrinkTime.wholeNanoseconds)
        } else {
            shrink(now)
        }
    }

    /// Withdraws the device for a while, and longer for as long as verdicts say so. When they stop, it is tried again.
    private mutating func coolDown(_ reason: RecoveryReason, _ now: Int) {
        switch phase {
        case .idle, .quarantined, .lost: break
        case .waiting(let since, let until):
            lastReason = reason
            phase = .waiting(since: since, until: max(until, earliestStart(now, after: policy.probes.backoffStart.wholeNanoseconds)))
        case .starting, .proving, .serving:
            isOnTrial = true
            goodRuns = 0
            probes += 1
            replaceWorker(reason, .alive, after: backoff(setbacks: setbacks), now)
        }
    }

    private mutating func giveUpOnCondition(_ reason: RecoveryReason, _ now: Int) {
        guard device.kind.isAccelerator, phase != .idle, phase != .lost else { return }
        giveUp(reason, .alive, now)
    }

    mutating func xidReported(_ xid: Int, _ now: Int) {
        guard device.kind.isAccelerator, phase != .idle, phase != .lost else { return }
        let reason = RecoveryReason(.xid, "the driver reported Xid \(xid)")
        switch XidMeaning(xid: xid) {
        case .ignore: note(.info, "reported Xid \(xid), which needs nothing to be done")
        case .unknown: note(.warning, "reported Xid \(xid), which is not known")
        case .suspectRequest: note(.warning, "reported Xid \(xid): a request may have caused it")
        case .link:
            hasFailedLink = true
            note(.warning, "reported Xid \(xid): a link failed, groups of devices must not use it")
        case .readAdvice: note(.info, "reported Xid \(xid): the driver's advice has changed")
        case .lost: lose("the driver reported Xid \(xid)", now)
        case .reset: giveUp(RecoveryReason(.needsReset, "the driver reported Xid \(xid), which needs a reset"), .alive, now)
        case .restartWorker: restart(on: reason, now)
        case .restartOnce:
            if hasRestartedOnce {
                giveUp(RecoveryReason(.needsReset, "the driver reported Xid \(xid) again"), .alive, now)
            } else {
                hasRestartedOnce = true
                restart(on: reason, now)
            }
        }
    }

    private mutating func restart(on reason: RecoveryReason, _ now: Int) {
        let delay = policy.patience.xid.wholeNanoseconds
        guard currentWorker != nil, let lastStart, lastStart.addingSaturated(delay) <= now else {
            return note(.info, "\(reason), which is put down to a worker before this one")
        }
        setBack(reason, .alive, now)
    }

    mutating func advised(_ advice: RecoveryAdvice, _ now: Int) {
        guard device.kind.isAccelerator, phase != .idle, phase != .lost else { return }
        let before = latestAdvice
        latestAdvice = advice
        if advice != .none {
            giveUp(RecoveryReason(.needsReset, advice.sentence), .alive, now)
        } else if before != .none, case .quarantined = phase {
            bringBack("the driver needs nothing any more", now)
        }
    }
}

extension RecoveryAdvice {
    fileprivate var sentence: String {
        switch self {
        case .none: "the driver needs nothing"
        case .reset: "the driver asks for a reset of the device"
        case .reboot: "the driver asks for a restart of the machine"
        case .drainP2P: "the driver asks for an end of traffic between devices"
        case .drainAndReset: "the driver asks for the device to be drained and reset"
        case .imex: "the driver asks for its IMEX service"
        }
    }
}
