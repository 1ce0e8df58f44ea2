import ApusExecution
import ApusTensor

extension DeviceRecovery {
    /// The device failed in a group and has no worker of its own: it is tried again by itself, by the rules that hold for one that served alone.
    mutating func failedInGroup(_ failure: DeviceFailure, _ now: Int) {
        guard currentWorker == nil else { return }
        // A device that was not asked to serve by itself is known to be gone all the same.
        if phase == .idle { phase = .waiting(since: now, until: now) }
        switch failure {
        case .lost where device.kind.isAccelerator: lose("its group found it gone", now, .gone)
        case .killed, .unavailable: phase = .waiting(since: now, until: earliestStart(now, after: 0))
        case .lost, .sticky, .hung, .crashed, .outOfMemory, .engine:
            isOnTrial = true
            setBack(RecoveryReason(failure.reasonCode, "it failed in its group: \(failure.rawValue)"), .gone, now)
        }
    }

    /// Takes over the number of the last worker that the device had in a group, so that its own next one has another.
    package mutating func hadWorkers(upTo number: Int) {
        worker = max(worker, number)
    }

    /// What it did is forgotten: it has run well in a group for long enough.
    package mutating func forgive() {
        guard phase == .idle else { return }
        (failures, setbacks, probes) = (0, 0, 0)
        isOnTrial = false
        deaths.dropCharges()
    }
}

extension DeviceFailure {
    fileprivate var reasonCode: RecoveryReason.Code {
        switch self {
        case .outOfMemory, .engine: .failingBatches
        case .sticky: .poisoned
        case .hung: .hung
        case .crashed: .crashed
        case .killed: .killed
        case .lost: .lost
        case .unavailable: .stopped
        }
    }
}
