import ApusDevices
import ApusErrors
import ApusExecution
import ApusPlacement
import ApusTensor

// How units become what the plan in force says.
extension FleetState {
    /// Makes the units that are missing, and ends those that are too many once nothing is missing.
    mutating func arrange(now: Int) {
        guard !isStopping, let keeper else { return }
        for step in self.keeper?.takeNews() ?? [] { effects.append(.planned(step)) }
        guard !keeper.isLooking else { return }
        let wanted = wanted
        for lead in successors.keys.sorted() where !wanted.contains(where: { $0.lead == lead && isDuty(successors[lead]?.duty, $0) }) {
            dropSuccessor(lead)
        }
        for formation in wanted where !isInPlace(formation) && successors[formation.lead] == nil { make(formation, now: now) }
        guard wanted.allSatisfy({ isServing($0) }) else { return }
        for device in order {
            guard let unit = units[device], unit.member.role != .standby, unit.duty.isUnit, !wanted.contains(where: { $0.devices.contains(device) }) else {
                continue
            }
            // One that is away comes back by itself, and is taken in again then.
            if unit.recovery.isServing || !keeper.away.contains(device) { standDown(device, now: now) }
        }
    }

    private func isDuty(_ duty: Duty?, _ formation: Formation) -> Bool {
        duty == (formation.isGroup ? .leads(formation) : .alone)
    }

    private func isInPlace(_ formation: Formation) -> Bool { isDuty(units[formation.lead]?.duty, formation) }

    private func isServing(_ formation: Formation) -> Bool {
        isInPlace(formation) && units[formation.lead]?.recovery.isServing == true
    }

    private mutating func make(_ formation: Formation, now: Int) {
        let busy = order.filter { device in
            guard let unit = units[device], unit.duty.isUnit, unit.executor != nil, unit.recovery.isServing else { return false }
            return !Set(unit.duty.formation?.devices ?? [device]).isDisjoint(with: formation.devices)
        }
        if busy.isEmpty {
            install(formation, now: now)
        } else if hasRoom(for: formation, beside: busy) {
            if busy.contains(formation.lead) { prepareSuccessor(formation, now: now) } else { install(formation, now: now) }
        } else if busy.allSatisfy({ units[$0]?.isDraining == true && units[$0]?.account.running == 0 }) {
            for device in busy { standDown(device, now: now) }
            install(formation, now: now)
        } else {
            for device in busy { units[device]?.isDraining = true }
            replan(now: now)
            // Nothing may be running at the moment.
            if busy.allSatisfy({ units[$0]?.account.running == 0 }) { make(formation, now: now) }
        }
    }

    /// Whether each device holds its part of what serves and its part of what is to take its place at the same time.
    private func hasRoom(for formation: Formation, beside busy: [DeviceID]) -> Bool {
        guard let keeper, let next = keeper.current else { return false }
        for device in formation.devices {
            guard let capacity = keeper.plan.request.devices.first(where: { $0.id == device })?.capacityBytes else { return false }
            let serving = busy.first { units[$0]?.duty.formation?.devices.contains(device) ?? ($0 == device) }
            guard serving != nil else { continue }
            // At most a whole model, which is what the most devices hold of one that serves.
            let outline = keeper.plan.request.model
            let (sum, overflow) = (next.bytes(on: device)?.total ?? outline.weightBytes).addingReportingOverflow(outline.weightBytes)
            guard !overflow, sum <= capacity else { return false }
        }
        return true
    }

    // MARK: - Units

    /// Starts a unit under a name that no unit serves under.
    private mutating func install(_ formation: Formation, now: Int) {
        for device in formation.devices { vacate(device, for: formation, now: now) }
        guard let unit = units[formation.lead] else { return }
        if formation.isGroup {
            own[formation.lead] = unit.recovery
            var group = self.unit(formation, after: unit.recovery.latestWorker)
            group.account = unit.account
            units[formation.lead] = group
            for device in formation.devices.dropFirst() where units[device]?.duty == .rests { units[device]?.duty = .belongs(to: formation.lead) }
        } else {
            units[formation.lead]?.duty = .alone
            units[formation.lead]?.settings = unit.member.settings
        }
        handle(formation.lead, .started, now: now)
    }

    private func unit(_ formation: Formation, after worker: Int) -> Unit {
        let lead = formation.lead
        // A formation is of units that there are.
        let member = units[lead]?.member ?? FleetPlan.Member(ExecutorSettings(device: lead, lanes: 1, engineLibrary: ""), info: GPUInfo(device: lead, name: ""))
        var unit = Unit(member, DeviceRecovery(device: lead, policy: policy, after: worker))
        unit.duty = formation.isGroup ? .leads(formation) : .alone
        if formation.isGroup { unit.settings = settings(of: formation, member.settings) }
        return unit
    }

    /// As many steps at the same time as keep every stage busy, and one that waits.
    private func settings(of formation: Formation, _ lead: ExecutorSettings) -> ExecutorSettings {
        var settings = lead
        let stages = formation.stages.map { stage in
            stage.map { device in
                let own = units[device]?.member.settings
                return GroupShape.Member(
                    device, cores: own?.cores ?? [], memoryLimitBytes: own?.memoryLimitBytes, uuid: own?.onlyVisibleUUID)
            }
        }
        // A formation has no device twice, and no more than the fleet.
        settings.group = try? GroupShape(stages)
        settings.lanes = formation.stages.count + 1
        settings.helpers = 0
        settings.cores = []
        settings.onlyVisibleUUID = nil
        return settings
    }

    /// Ends what a device does that is not serving, to make it part of `formation`.
    private mutating func vacate(_ device: DeviceID, for formation: Formation, now: Int) {
        guard let unit = units[device] else { return }
        switch unit.duty {
        case .rests: return
        case .belongs(let lead): if units[lead]?.recovery.isServing != true { standDown(lead, now: now) }
        case .looks: rest(device, now: now)
        case .alone, .leads: if !unit.recovery.isServing { standDown(device, now: now) }
        }
    }

    /// A device that was looked at does nothing for now.
    mutating func rest(_ device: DeviceID, now: Int) {
        guard var unit = units[device] else { return }
        for case .killWorker(let worker) in unit.recovery.handle(.retired, now: now) {
            if let executor = takeExecutor(device, worker) { effects.append(.kill(executor)) }
        }
        unit.executor = nil
        unit.duty = .rests
        units[device] = unit
        tellRest(of: device)
    }

    /// A device that a plan was asked for is missed while it does nothing, others are not.
    mutating func tellRest(of device: DeviceID) {
        if keeper?.wished.devices.contains(device) == true {
            effects.append(.changed(device, units[device]?.recovery.stage ?? .healthy, .none, weight: 1, isServing: false))
        } else {
            effects.append(.retired(device))
        }
    }

    /// Ends a unit: what it runs is finished, and its devices do nothing for now.
    mutating func standDown(_ lead: DeviceID, now: Int) {
        guard var unit = units[lead], unit.duty.isUnit else { return }
        let devices = unit.duty.formation?.devices ?? [lead]
        let wasServing = unit.recovery.isServing
        if let running = unit.executor?.executor { effects.append(wasServing && !unit.isDraining ? .handOver(running) : .kill(running)) }
        unit.executor = nil
        if unit.opened != nil { effects.append(.close(lead)) }
        unit.opened = nil
        unit.isDraining = false
        unit.servesSince = nil
        if unit.duty.isGroup {
            let worker = unit.recovery.latestWorker
            if var recovery = own.removeValue(forKey: lead) {
                recovery.hadWorkers(upTo: worker)
                unit.recovery = recovery
            }
        } else {
            _ = unit.recovery.handle(.retired, now: now)
        }
        unit.settings = unit.member.settings
        unit.rate = nil
        unit.group = nil
        unit.duty = .rests
        units[lead] = unit
        for device in devices.dropFirst() where units[device]?.duty == .belongs(to: lead) { units[device]?.duty = .rests }
        for device in devices { tellRest(of: device) }
    }

    /// A unit has proven itself: others that have its devices end.
    mutating func takePlace(_ lead: DeviceID, now: Int) {
        guard let formation = formation(lead), wanted.contains(formation) else { return }
        for device in order where device != lead {
            guard let unit = units[device], unit.duty.isUnit, unit.member.role != .standby else { continue }
            if !Set(unit.duty.formation?.devices ?? [device]).isDisjoint(with: formation.devices) { standDown(device, now: now) }
        }
        for device in formation.devices.dropFirst() { units[device]?.duty = .belongs(to: lead) }
        guard let unit = units[lead] else { return }
        for device in formation.devices {
            effects.append(.changed(device, unit.recovery.stage, unit.recovery.fallback, weight: unit.share, isServing: true))
        }
    }

    // MARK: - Successors

    private mutating func prepareSuccessor(_ formation: Formation, now: Int) {
        let lead = formation.lead
        guard let serving = units[lead] else { return }
        for device in formation.devices where device != lead { vacate(device, for: formation, now: now) }
        successors[lead] = unit(formation, after: serving.recovery.latestWorker)
        prepare(lead, .started, now: now)
    }

    /// Something happened to a unit that is made ready.
    mutating func prepare(_ lead: DeviceID, _ event: RecoveryEvent, now: Int) {
        guard !isStopping, var unit = successors[lead] else { return }
        let worker = unit.recovery.currentWorker
        let actions = unit.recovery.handle(event, now: now)
        successors[lead] = unit
        let isOver = worker != nil && unit.recovery.currentWorker != worker
        if unit.recovery.isServing {
            for case .note(let level, let text) in actions { effects.append(.note(level, text)) }
            return promote(lead, now: now)
        }
        for action in actions where !(isOver && action.isStart) { carryOut(action, lead) }
        guard isOver else { return }
        dropSuccessor(lead)
        guard let formation = unit.duty.formation else { return }
        let reason = unit.recovery.lastReason
        keeper?.dissolved(
            formation, culprit: nil, PlanStep.Cause(reason), isOwnFault: reason?.code != .killed, reason?.text ?? "it did not start", now: now)
        look(at: formation.devices, now: now)
        arrange(now: now)
        replan(now: now)
    }

    private mutating func dropSuccessor(_ lead: DeviceID) {
        guard let unit = successors.removeValue(forKey: lead) else { return }
        units[lead]?.recovery.hadWorkers(upTo: unit.recovery.latestWorker)
        if let executor = unit.executor?.executor { effects.append(.kill(executor)) }
    }

    /// A successor has proven itself and takes the place of the unit that served under its name.
    private mutating func promote(_ lead: DeviceID, now: Int) {
        guard var unit = successors.removeValue(forKey: lead), let old = units[lead] else { return }
        if let executor = old.executor?.executor { effects.append(.handOver(executor)) }
        var recovery = old.recovery
        if old.duty.isGroup {
            recovery = own[lead] ?? recovery
        } else {
            _ = recovery.handle(.retired, now: now)
        }
        recovery.hadWorkers(upTo: unit.recovery.latestWorker)
        if unit.duty.isGroup {
            own[lead] = recovery
        } else {
            own[lead] = nil
        }
        for device in old.duty.formation?.devices.dropFirst() ?? [] where units[device]?.duty == .belongs(to: lead) { units[device]?.duty = .rests }
        unit.info = old.info
        unit.account = old.account
        unit.account.running = 0
        unit.servesSince = now
        units[lead] = unit
        for device in unit.duty.formation?.devices ?? [lead] { effects.append(.began(device)) }
        takePlace(lead, now: now)
        if let formation = unit.duty.formation { keeper?.formed(formation, now: now) }
        arrange(now: now)
        replan(now: now)
    }

    // MARK: - The end of a group

    /// A group ended by itself, or its worker was given up: each of its devices is by itself again.
    mutating func dissolve(_ lead: DeviceID, because given: RecoveryReason? = nil, now: Int) {
        guard let unit = units[lead], let formation = unit.duty.formation else { return }
        let reason = given ?? unit.recovery.lastReason
        let culprit = unit.culprit.flatMap { formation.devices.contains($0.device) ? $0 : nil }
        let worker = unit.recovery.latestWorker
        if var recovery = own.removeValue(forKey: lead) {
            recovery.hadWorkers(upTo: worker)
            units[lead]?.recovery = recovery
        }
        units[lead]?.settings = unit.member.settings
        units[lead]?.culprit = nil
        units[lead]?.isDraining = false
        units[lead]?.servesSince = nil
        units[lead]?.rate = nil
        units[lead]?.group = nil
        units[lead]?.judge = HealthJudge()
        // Devices that serve alone until the group would have do so.
        for device in formation.devices where device == lead || units[device]?.duty == .belongs(to: lead) { units[device]?.duty = .rests }
        keeper?.dissolved(
            formation, culprit: culprit?.device, PlanStep.Cause(reason), isOwnFault: reason.map { $0.code != .killed && $0.code != .stopped } ?? true,
            reason?.text ?? "it ended", now: now)
        for device in formation.devices where units[device]?.duty == .rests { tellRest(of: device) }
        if let culprit, units[culprit.device]?.duty == .rests {
            units[culprit.device]?.duty = .looks
            handle(culprit.device, .failedInGroup(culprit.failure), now: now)
        } else {
            look(at: formation.devices, now: now)
        }
        arrange(now: now)
    }

    /// Has devices show that they work; those that serve do.
    private mutating func look(at devices: [DeviceID], now: Int) {
        for device in devices {
            guard let unit = units[device] else { continue }
            guard unit.duty == .rests else {
                keeper?.found(device, now: now)
                continue
            }
            units[device]?.duty = .looks
            handle(device, .started, now: now)
        }
    }
}

extension Formation {
    /// One device by itself, of whatever layers.
    init(alone device: DeviceID) {
        stages = [[device]]
        layers = []
        lead = device
    }
}
