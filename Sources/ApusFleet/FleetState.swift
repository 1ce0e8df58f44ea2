import ApusDevices
import ApusErrors
import ApusExecution
import ApusPlacement
import ApusTensor

/// What is to be done outside the lock, in order.
enum FleetEffect: Sendable {
    case start(DeviceID, worker: Int)
    case kill(any Executor)
    /// It ended by itself: nothing of it is to be kept.
    case forget(any Executor)
    /// Others have taken its work over: what it runs is finished first.
    case handOver(any Executor)
    case prove(DeviceID, worker: Int, times: Int)
    case open(any Executor, share: Double, fallback: FallbackStage)
    case close(DeviceID)
    case adjust(DeviceID, share: Double, fallback: FallbackStage)
    case capacity(Double)
    /// - isNews: false when it was said before and only the time of the next attempt has changed.
    case refuse(isNews: Bool)
    /// Models that run on this device only have somebody to wait for, or nobody any more.
    case settle(DeviceID)
    case note(RecoveryAction.Level, String)
    case changed(DeviceID, DeviceStage, FallbackStage, weight: Double, isServing: Bool)
    case began(DeviceID)
    case recovered(DeviceID, seconds: Double)
    /// A stand-in that is not needed: it is not missed.
    case retired(DeviceID)
    case planned(PlanStep)
}

/// All devices of a fleet and what was decided about them. Pure: the effects are ``Fleet``'s.
struct FleetState: Sendable {
    struct Unit: Sendable {
        let member: FleetPlan.Member
        /// Those of the device, or of the group that it leads.
        var settings: ExecutorSettings
        var duty = Duty.alone
        var recovery: DeviceRecovery
        var judge = HealthJudge()
        /// The worker's number and executor, once it has been started.
        var executor: (worker: Int, executor: any Executor)? {
            didSet { if executor?.worker != oldValue?.worker { memory = MemoryLook() } }
        }
        /// The process that computes for a CPU device.
        var process: Int32?
        var info: GPUInfo
        var account = DeviceAccount()
        var memory = MemoryLook()
        /// Tokens a second of all lanes; nil while it is not measured.
        var rate: Double?
        /// What the models were last told; nil while the device takes no work.
        var opened: (share: Double, fallback: FallbackStage)?
        /// Which device of a group failed, and how, as far as batches told.
        var culprit: (device: DeviceID, failure: DeviceFailure)?
        /// Whether it takes no more work and is to make room once it has none.
        var isDraining = false
        /// Since when it has served, nanoseconds; nil while it does not.
        var servesSince: Int?
        /// What the devices of a group had done when that was last asked, and of late.
        var group: (latest: GroupState, recent: GroupState)?

        init(_ member: FleetPlan.Member, _ recovery: DeviceRecovery) {
            self.member = member
            settings = member.settings
            self.recovery = recovery
            info = member.info
        }

        var share: Double { recovery.weight * recovery.batchShare }

    }

    var units: [DeviceID: Unit]
    let order: [DeviceID]
    let remedies: FleetRecovery
    var fallback: RecoveryPolicy.Fallback { remedies.fallback }
    var plan: RemedyPlan
    var isStopping = false
    /// Decides what serves what together; nil where every device serves by itself.
    var keeper: PlanKeeper?
    /// Units that are made ready beside the one that serves under the name of the same device, and take its place once they are.
    var successors: [DeviceID: Unit] = [:]
    /// What devices of groups did when they were by themselves.
    var own: [DeviceID: DeviceRecovery] = [:]
    let policy: RecoveryPolicy
    /// Decides how many replicas there are; nil where their number stays.
    var scaling: ReplicaScaling?
    /// When the scaling was last asked, nanoseconds, and how many seconds replicas had been busy by then.
    var scaledAt: (time: Int, busy: Double) = (0, 0)
    private(set) var servingTime = ServingTime()
    /// What kept devices from starting at their last try.
    private(set) var startFailures: [DeviceID: ApusError] = [:]
    /// Devices whose workers the system has had no room for since they last started.
    private var starved: Set<DeviceID> = []
    var effects: [FleetEffect] = []
    private var isDraining = false
    private var toldCapacity = -1.0
    private var isRefusing = false
    /// When a device is tried next, as those whose requests are refused were told.
    private var toldAttempt: Int?
    /// Devices that were said not to come back soon, to models that nobody else may have.
    private var toldAbandoned: Set<DeviceID> = []

    init(_ plan: FleetPlan) {
        remedies = FleetRecovery(fallback: plan.policy.fallback, patience: plan.patience)
        policy = plan.policy
        order = plan.members.map(\.settings.device)
        let units = plan.members.map { Unit($0, DeviceRecovery(device: $0.settings.device, policy: plan.policy)) }
        self.units = Dictionary(zip(order, units)) { earlier, _ in earlier }
        keeper = plan.parallel.map { PlanKeeper($0) }
        scaling = plan.parallel?.scaling.map { ReplicaScaling($0) }
        self.plan = remedies.plan([], now: 0)
        if keeper != nil { for member in plan.members where member.role != .standby { self.units[member.settings.device]?.duty = .rests } }
        self.plan = remedies.plan(standings, now: 0)
    }

    /// Intended devices are asked to serve.
    mutating func start(now: Int) {
        guard keeper == nil else { return arrange(now: now) }
        for device in order where units[device]?.member.role != .standby { handle(device, .started, now: now) }
    }

    /// Nothing is started or restarted any more.
    mutating func stop() -> [any Executor] {
        isStopping = true
        return order.flatMap { [units[$0], successors[$0]].compactMap { $0?.executor?.executor } }
    }

    mutating func handle(_ device: DeviceID, _ event: RecoveryEvent, now: Int) {
        guard !isStopping else { return }
        if let worker = event.worker, successors[device]?.recovery.latestWorker == worker { return prepare(device, event, now: now) }
        guard var unit = units[device] else { return }
        let (before, worker) = (Standing(unit), unit.recovery.currentWorker)
        let actions = unit.recovery.handle(event, now: now)
        // A group is not restarted as it is: who knows which of its devices are still there.
        let isOver = unit.duty.isGroup && worker != nil && unit.recovery.currentWorker != worker
        if unit.recovery.isServing != before.isServing { unit.servesSince = unit.recovery.isServing ? now : nil }
        units[device] = unit
        for action in actions where !(isOver && action.isStart) { carryOut(action.told(of: unit.duty, by: device), device) }
        guard !actions.isEmpty || units[device].map(Standing.init) != before else { return }
        if isOver {
            dissolve(device, now: now)
            return replan(now: now)
        }
        tell(device, before)
        if keeper != nil {
            keepPlan(device, wasServing: before.isServing, hadWorker: worker != nil, now: now)
        }
        replan(now: now)
    }

    mutating func batchBegan(_ device: DeviceID) {
        units[device]?.account.running += 1
    }

    /// - Parameter computed: processor time that the device's process has taken so far, seconds.
    mutating func batchEnded(_ report: BatchReport, computed: Double?, now: Int) {
        guard var unit = units[report.device] else { return }
        unit.account.ended(report, now: now)
        if report.result == .succeeded { unit.judge.record(tokens: report.tokens, seconds: report.seconds, computed: computed, now: now) }
        if case .failed(let failure, _) = report.result, let culprit = report.culprit { unit.culprit = (culprit, failure) }
        units[report.device] = unit
        // What a group did that is no more says nothing about the device that led it.
        if report.culprit == nil || unit.duty.isGroup { handle(report.device, .batch(report), now: now) }
        if unit.isDraining, unit.account.running == 0 { arrange(now: now) }
    }

    /// An executor was started; false when nobody wants it any more.
    mutating func started(_ executor: any Executor, on device: DeviceID, worker: Int, process: Int32?) -> Bool {
        let slot = slot(device, worker)
        guard !isStopping, self[keyPath: slot]?.recovery.currentWorker == worker else { return false }
        self[keyPath: slot]?.executor = (worker, executor)
        self[keyPath: slot]?.process = device.kind == .cpu ? process : nil
        startFailures[device] = nil
        starved.remove(device)
        self[keyPath: slot]?.judge.workerChanged()
        return true
    }

    /// - Returns: false when the same was said before.
    mutating func failedToStart(_ error: ApusError, _ device: DeviceID, worker: Int) -> Bool {
        // A device that is not to blame is still hoped for.
        guard error.code != .resourcesExhausted else { return starved.insert(device).inserted }
        startFailures[device] = error
        if let executor = takeExecutor(device, worker) { effects.append(.kill(executor)) }
        return true
    }

    mutating func takeExecutor(_ device: DeviceID, _ worker: Int) -> (any Executor)? {
        let slot = slot(device, worker)
        guard let running = self[keyPath: slot]?.executor, running.worker == worker else { return nil }
        self[keyPath: slot]?.executor = nil
        return running.executor
    }

    mutating func died(_ device: DeviceID, worker: Int, _ cause: WorkerDeath.Cause, now: Int) {
        let running = self[keyPath: slot(device, worker)]?.account.running ?? 0
        if let executor = takeExecutor(device, worker) { effects.append(.forget(executor)) }
        handle(device, .workerDied(worker: worker, WorkerDeath(cause, running: running)), now: now)
    }

    mutating func answered(_ device: DeviceID, worker: Int, _ answer: KnownAnswer, now: Int) {
        units[device]?.judge.record(answer)
        handle(device, .knownAnswer(worker: worker, answer), now: now)
    }

    mutating func sampled(_ info: GPUInfo, now: Int) {
        guard var unit = units[info.device] else { return }
        unit.info = info
        let sample = info.sample.map { unit.member.faults?.overlay($0) ?? $0 }
        unit.info.sample = sample
        let verdict = sample.map { unit.judge.verdict($0, now: now) } ?? unit.judge.verdict()
        unit.account.verdict = verdict
        units[info.device] = unit
        let events = sample.map(RecoveryEvent.events(of:)) ?? []
        guard !senseInGroup(info.device, events, verdict, now: now) else { return }
        for event in events { handle(info.device, event, now: now) }
        handle(info.device, .verdict(verdict), now: now)
    }

    /// The workers whose memory is to be asked for now.
    mutating func takeMemoryLooks(now: Int) -> [(DeviceID, worker: Int, any Executor)] {
        order.compactMap { device in
            guard let running = units[device]?.executor, units[device]?.memory.isDue(worker: running.worker, now: now) == true else {
                return nil
            }
            return (device, running.worker, running.executor)
        }
    }

    /// False when the worker has been replaced since.
    mutating func memoryAnswered(_ memory: DeviceMemory?, _ device: DeviceID, worker: Int, now: Int) -> Bool {
        guard units[device]?.executor?.worker == worker else { return false }
        units[device]?.memory.answered(memory, worker: worker, now: now)
        return true
    }

    /// What has become due by itself.
    mutating func tick(now: Int) {
        keepTime(now: now)
        for device in order {
            guard let unit = units[device] else { continue }
            if let wake = unit.recovery.nextWake, wake <= now { handle(device, .wake, now: now) }
            if unit.info.sample == nil, unit.recovery.isServing {
                let verdict = unit.judge.verdict()
                // Said again while it holds: a device stays suspect for as long as it is told so.
                if verdict != unit.account.verdict || now - unit.account.judgedAt >= Self.judgingInterval {
                    units[device]?.account.verdict = verdict
                    units[device]?.account.judgedAt = now
                    handle(device, .verdict(verdict), now: now)
                }
            }
        }
        if let look = plan.nextLook, look <= now { replan(now: now) }
        if measureRates() { replan(now: now) }
        settleAbandoned(now: now)
        guard isRefusing, nextAttempt(of: nil) != toldAttempt else { return }
        toldAttempt = nextAttempt(of: nil)
        effects.append(.refuse(isNews: false))
    }

    /// Takes over how fast the devices were found to be; true when that changes anything.
    private mutating func measureRates() -> Bool {
        var hasChanged = false
        for device in order {
            let lanes = Double(units[device]?.settings.lanes ?? 1)
            let rate = units[device]?.account.speed.tokensPerSecond().map { $0 * lanes }
            guard rate != units[device]?.rate else { continue }
            units[device]?.rate = rate
            hasChanged = true
        }
        return hasChanged
    }

    private mutating func settleAbandoned(now: Int) {
        let abandoned = Set(order.filter { isAbandoned($0, now: now) })
        for device in order where abandoned.contains(device) != toldAbandoned.contains(device) { effects.append(.settle(device)) }
        toldAbandoned = abandoned
    }

    /// The next effects to carry out; empty when there are none, or when another caller is at it.
    mutating func takeEffects(continuing: Bool) -> [FleetEffect] {
        guard continuing || !isDraining else { return [] }
        defer { effects.removeAll() }
        isDraining = !effects.isEmpty
        return effects
    }

    mutating func carryOut(_ action: RecoveryAction, _ device: DeviceID) {
        switch action {
        case .startWorker(let worker): effects.append(.start(device, worker: worker))
        case .killWorker(let worker):
            if let executor = takeExecutor(device, worker) { effects.append(.kill(executor)) }
        case .prove(let worker, let times): effects.append(.prove(device, worker: worker, times: times))
        case .withdraw(_, let reason):
            effects.append(.note(.warning, "\(units[device]?.duty.formation?.description ?? device.description) is withdrawn: \(reason)"))
        case .admit:
            if let recovery = units[device]?.recovery, recovery.restartCount > 0, let outage = recovery.lastOutage {
                effects.append(.recovered(device, seconds: Double(outage) * 1e-9))
            }
            for device in units[device]?.duty.formation?.devices ?? [device] { effects.append(.began(device)) }
        case .setWeight, .setBatchShare: break
        case .note(let level, let text): effects.append(.note(level, text))
        }
    }

    mutating func tell(_ device: DeviceID, _ before: Standing) {
        guard let unit = units[device] else { return }
        let standing = Standing(unit)
        guard standing != before else { return }
        // What a group does, all of its devices do.
        for device in unit.duty.formation?.devices ?? [device] {
            effects.append(
                .changed(
                    device, standing.stage, standing.fallback, weight: unit.share, isServing: standing.isServing))
        }
    }

    /// Decides anew who serves, and opens, closes and adjusts the lanes to match.
    mutating func replan(now: Int) {
        plan = remedies.plan(standings, now: now)
        keepRemedy()
        let serving = Dictionary(plan.serving.map { ($0.device, $0.fallback) }, uniquingKeysWith: { earlier, _ in earlier })
        for device in order {
            guard let unit = units[device] else { continue }
            switch (serving[device], unit.opened, unit.executor?.executor) {
            case (let fallback?, nil, let executor?):
                units[device]?.opened = (unit.share, fallback)
                effects.append(.open(executor, share: unit.share, fallback: fallback))
            case (let fallback?, let opened?, _?) where opened != (unit.share, fallback):
                units[device]?.opened = (unit.share, fallback)
                effects.append(.adjust(device, share: unit.share, fallback: fallback))
            case (nil, _?, _), (_, _?, nil):
                units[device]?.opened = nil
                effects.append(.close(device))
            default: break
            }
        }
        servingTime.update(isServing: units.values.contains { $0.opened != nil }, now: now)
        if plan.capacity != toldCapacity {
            toldCapacity = plan.capacity
            effects.append(.capacity(plan.capacity))
        }
        if plan.isHopeless != isRefusing {
            isRefusing = plan.isHopeless
            toldAttempt = nextAttempt(of: nil)
            if isRefusing { effects.append(.refuse(isNews: true)) }
        }
        let (start, stop) = (plan.start, plan.stop)
        for device in start { handle(device, .started, now: now) }
        for device in stop {
            handle(device, .retired, now: now)
            effects.append(.retired(device))
        }
    }

    /// How often a verdict that did not change is repeated, nanoseconds.
    private static let judgingInterval = 10_000_000_000

    /// What others are told when it changes.
    struct Standing: Equatable {
        let stage: DeviceStage
        let fallback: FallbackStage
        let isServing: Bool
        let share: Double

        init(_ unit: Unit) {
            stage = unit.recovery.stage
            fallback = unit.recovery.fallback
            isServing = unit.recovery.isServing
            share = unit.share
        }
    }
}
