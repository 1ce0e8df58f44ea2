import ApusDevices
import ApusErrors
import ApusExecution
import ApusPlacement
import ApusTensor

// Units that come and go: groups of devices by the plan in force. All of this rests where every device serves by itself.
extension FleetState {
    /// The unit that a worker belongs to.
    func slot(_ device: DeviceID, _ worker: Int) -> WritableKeyPath<FleetState, Unit?> {
        successors[device]?.recovery.latestWorker == worker ? \.successors[device] : \.units[device]
    }

    /// What is to be started for a worker; nil when nobody wants it any more.
    func order(for device: DeviceID, _ worker: Int) -> (settings: ExecutorSettings, faults: [(DeviceID, DeviceFaults)], hasModels: Bool)? {
        guard let unit = self[keyPath: slot(device, worker)], unit.recovery.currentWorker == worker else { return nil }
        let devices = unit.duty.formation?.devices ?? [device]
        return (unit.settings, devices.compactMap { device in units[device]?.member.faults.map { (device, $0) } }, unit.duty.hasModels)
    }

    /// The executor of a worker, while it runs, and whether models are loaded onto it.
    func running(_ device: DeviceID, _ worker: Int) -> (executor: any Executor, hasModels: Bool)? {
        guard let unit = self[keyPath: slot(device, worker)], let running = unit.executor, running.worker == worker else { return nil }
        return (running.executor, unit.duty.hasModels)
    }

    /// Everybody who serves or is meant to, as those see it who decide on remedies.
    var standings: [FleetRecovery.Member] {
        order.compactMap { device in
            guard let unit = units[device] else { return nil }
            var standing = FleetRecovery.Member(unit.recovery, unit.member.role, rate: unit.rate)
            guard keeper != nil, unit.member.role != .standby else { return standing }
            standing.role = .intended
            switch unit.duty {
            case .alone, .leads: standing.isServing = standing.isServing && !unit.isDraining
            case .looks: standing.isServing = false
            case .belongs, .rests: return nil
            }
            return standing
        }
    }

    /// A plan on fewer devices is a remedy, too, and its capacity is that of the devices that serve.
    mutating func keepRemedy() {
        guard let keeper else { return }
        if plan.remedy == .none, keeper.current != keeper.wished { plan.remedy = .fewerDevices }
        if let share = plannedCapacity(on: Set(plan.serving.map(\.device))), plan.remedy != .cpu { plan.capacity = share }
    }

    /// Devices that serve over the devices of the plan that was asked for; nil without a plan, and while a stand-in serves.
    func plannedCapacity(on open: Set<DeviceID>) -> Double? {
        guard let keeper, !keeper.wished.devices.isEmpty else { return nil }
        var share = 0.0
        for device in open {
            guard let unit = units[device] else { continue }
            guard unit.member.role != .standby else { return nil }
            share += Double(unit.duty.formation?.devices.count ?? 1) * unit.recovery.weight
        }
        return min(1, share / Double(keeper.wished.devices.count))
    }

    // MARK: - What devices and units tell

    /// A unit or a device that is looked at has changed.
    mutating func keepPlan(_ device: DeviceID, wasServing: Bool, hadWorker: Bool, now: Int) {
        guard let unit = units[device], unit.member.role != .standby else { return }
        let isServing = unit.recovery.isServing
        switch unit.duty {
        case .belongs, .rests: return
        case .looks:
            if isServing {
                rest(device, now: now)
                keeper?.found(device, now: now)
            } else if hadWorker, unit.recovery.currentWorker == nil {
                keeper?.lost(device, PlanStep.Cause(unit.recovery.lastReason), now: now)
            }
        case .alone:
            if !wasServing, isServing {
                keeper?.servesAgain(device, now: now)
                takePlace(device, now: now)
            } else if wasServing ? !isServing : hadWorker && unit.recovery.currentWorker == nil, planDevices > 1 {
                keeper?.lost(device, PlanStep.Cause(unit.recovery.lastReason), now: now)
            } else {
                return
            }
        case .leads:
            guard !wasServing, isServing else { return }
            takePlace(device, now: now)
            if let formation = unit.duty.formation { keeper?.formed(formation, now: now) }
        }
        arrange(now: now)
    }

    private var planDevices: Int { order.count { units[$0]?.member.role != .standby } }

    /// What a sensor says of a device of a group. False for devices that are by themselves.
    mutating func senseInGroup(_ device: DeviceID, _ events: [RecoveryEvent], _ verdict: HealthVerdict, now: Int) -> Bool {
        guard let lead = lead(of: device), units[lead]?.duty.isGroup == true else { return false }
        let isLost = events.contains { $0.endsDevice } || verdict.outcome == .fallBack
        guard isLost else {
            handle(lead, .verdict(verdict), now: now)
            return true
        }
        units[lead]?.culprit = (device, .lost)
        let reason = RecoveryReason(.lost, "the sensors of \(device) say that it cannot go on")
        if let worker = units[lead]?.recovery.currentWorker, let executor = takeExecutor(lead, worker) { effects.append(.kill(executor)) }
        dissolve(lead, because: reason, now: now)
        // What it is to come back after is the device's own affair.
        for event in events { handle(device, event, now: now) }
        replan(now: now)
        return true
    }

    /// The first device of the group that a device is in.
    func lead(of device: DeviceID) -> DeviceID? {
        switch units[device]?.duty {
        case .leads: device
        case .belongs(let lead): lead
        case .alone, .looks, .rests, nil: nil
        }
    }

    /// What is due by the plan's own clock.
    mutating func keepTime(now: Int) {
        guard !isStopping, keeper != nil else { return }
        for device in order {
            guard let unit = units[device], unit.duty.isUnit, let since = unit.servesSince, unit.recovery.isServing else { continue }
            let devices = unit.duty.formation?.devices ?? [device]
            guard devices.contains(where: { keeper?.isTroubled($0) == true }) else { continue }
            if let formation = formation(device) { keeper?.served(formation, since: since, now: now) }
            for device in devices where keeper?.isTroubled(device) == false && unit.duty.isGroup {
                own[device]?.forgive()
                if units[device]?.duty == .belongs(to: devices[0]) { units[device]?.recovery.forgive() }
            }
        }
        for device in order {
            guard let unit = successors[device], let wake = unit.recovery.nextWake, wake <= now else { continue }
            prepare(device, .wake, now: now)
        }
        guard let wake = keeper?.nextWake, wake <= now else { return }
        keeper?.tick(now: now)
        arrange(now: now)
        replan(now: now)
    }

    /// What a unit goes by in a plan.
    func formation(_ device: DeviceID) -> Formation? {
        guard let unit = units[device] else { return nil }
        switch unit.duty {
        case .leads(let formation): return formation
        case .alone: return wanted.first { $0.devices == [device] } ?? Formation(alone: device)
        case .belongs, .looks, .rests: return nil
        }
    }

    /// The units of the plan in force.
    var wanted: [Formation] {
        (keeper?.current?.replicas ?? []).compactMap { Formation($0) }.filter { formation in
            formation.devices.allSatisfy { units[$0].map { $0.member.role != .standby } ?? false }
        }
    }
}

extension PlanStep.Cause {
    init(_ reason: RecoveryReason?) {
        self =
            switch reason?.code {
            case .killed, .stopped: .killed
            case .crashed: .crashed
            case .poisoned: .sticky
            case .hung: .hung
            case .lost: .deviceLost
            case .spawnFailed: .start
            case .wrongAnswer, .noAnswer, .failingBatches: .failures
            case .overheated, .xid, .needsReset, .memoryFault: .sensors
            case .starting, .retired, .restarts, nil: .unknown
            }
    }
}

extension RecoveryEvent {
    /// Of the worker that it comes from.
    var worker: Int? {
        switch self {
        case .workerReady(let worker), .spawnFailed(let worker, _), .knownAnswer(let worker, _), .workerDied(let worker, _): worker
        case .started, .retired, .batch, .verdict, .xid, .advice, .deviceLost, .failedInGroup, .operatorProbe, .wake: nil
        }
    }

    /// Whether a device of which a sensor says so must leave its group.
    fileprivate var endsDevice: Bool {
        switch self {
        case .deviceLost: true
        case .advice(let advice): advice != .none
        case .xid(let xid):
            switch XidMeaning(xid: xid) {
            case .lost, .reset, .restartWorker, .restartOnce, .link: true
            case .suspectRequest, .ignore, .readAdvice, .unknown: false
            }
        default: false
        }
    }
}

extension RecoveryAction {
    var isStart: Bool {
        if case .startWorker = self { true } else { false }
    }

    /// A line about a device that leads a group is about the group.
    func told(of duty: Duty, by device: DeviceID) -> RecoveryAction {
        guard let formation = duty.formation, case .note(let level, let text) = self else { return self }
        let name = device.description
        // That it ends needs no operator: what becomes of its devices is told of each.
        return .note(level == .error ? .warning : level, text.hasPrefix(name) ? "\(formation)\(text.dropFirst(name.count))" : text)
    }
}
