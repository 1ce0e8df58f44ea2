import ApusErrors
package import ApusPlacement
package import ApusTensor

/// Decides which plan is in force while devices go and come: what happens to devices in, a plan out. Pure; times are nanoseconds on the
/// caller's clock.
///
/// A device that is lost is planned around at once, down the ladder of ``PlanRequest/degraded(without:)``. One that is there again is taken
/// back only after a while, which doubles with each failure until the plan has served long enough, so that a device that fails again and
/// again does not take the others with it each time. After a group ended and nobody is to blame yet, nothing is planned until each of its
/// devices was looked at or the time for it is over.
package struct PlanKeeper: Sendable {
    private struct Absence: Sendable {
        var cause: PlanStep.Cause
        /// When a device that is there again may be taken back; nil while it is not there.
        var heldUntil: Int?
    }

    private struct Trouble: Sendable {
        var count = 0
        var last = 0
    }

    package let plan: ParallelPlan
    /// Replicas; those of ``ParallelPlan/wished`` unless scaling decided otherwise.
    package private(set) var replicas: Int
    /// The plan to have with these replicas when all devices are there.
    package private(set) var wished: Plan
    /// The plan in force; nil while none is possible.
    package private(set) var current: Plan?
    package private(set) var lastStep: PlanStep?
    private var absences: [DeviceID: Absence] = [:]
    private var troubles: [DeviceID: Trouble] = [:]
    /// Failures in a row of a group of devices that nobody was to blame for.
    private var blameless: [Set<DeviceID>: Trouble] = [:]
    /// Devices that are being looked at, and until when that is waited for.
    private var looks: [DeviceID: Int] = [:]
    private var news: [PlanStep] = []
    /// Groups that ended, and have not served since.
    private var broken: [Set<DeviceID>: PlanStep.Cause] = [:]

    package init(_ plan: ParallelPlan) {
        self.plan = plan
        wished = plan.wished
        current = plan.wished
        replicas = plan.wished.replicas.count
    }

    /// Whether devices are being looked at, and the plan in force is not to be carried out until that is over.
    package var isLooking: Bool { !looks.isEmpty }

    /// Devices that no plan has now.
    package var away: Set<DeviceID> { Set(absences.keys) }

    /// Devices that are there and not taken back yet.
    package var held: Set<DeviceID> { Set(absences.filter { $0.value.heldUntil != nil }.keys) }

    /// When ``tick(now:)`` wants to be called at the latest.
    package var nextWake: Int? { (looks.values + absences.values.compactMap(\.heldUntil)).min() }

    /// What was decided since the last call.
    package mutating func takeNews() -> [PlanStep] {
        defer { news.removeAll() }
        return news
    }

    // MARK: - What happens

    /// A group ended, and with it what it served.
    ///
    /// - Parameters:
    ///   - culprit: the device that failed; nil when that is not known and all are to be looked at.
    ///   - isOwnFault: whether the group ended by its own doing, and not by somebody from outside.
    package mutating func dissolved(
        _ formation: Formation, culprit: DeviceID?, _ cause: PlanStep.Cause, isOwnFault: Bool, _ text: String, now: Int
    ) {
        tell(.dissolved, cause, "\(formation) is dissolved: \(text)", now)
        broken[Set(formation.devices)] = cause
        if let culprit {
            lost(culprit, cause, now: now)
            return
        }
        for device in formation.devices { looks[device] = now.addingCapped(plan.patience.look.planNanoseconds) }
        guard isOwnFault else { return }
        let key = Set(formation.devices)
        var trouble = blameless[key] ?? Trouble()
        if trouble.last + plan.patience.steady.planNanoseconds < now { trouble.count = 0 }
        (trouble.count, trouble.last) = (trouble.count + 1, now)
        blameless[key] = trouble
        guard trouble.count >= plan.patience.blamelessLimit else { return }
        // Somebody among them does it: they go on alone, and meet again later and later.
        let hold = Self.doubled(plan.patience.hold, trouble.count - plan.patience.blamelessLimit, plan.patience.longestHold)
        for device in formation.devices.dropFirst() {
            absences[device] = Absence(cause: .unknown, heldUntil: now.addingCapped(hold))
        }
    }

    /// A device cannot be used.
    package mutating func lost(_ device: DeviceID, _ cause: PlanStep.Cause, now: Int) {
        looks[device] = nil
        if absences[device]?.heldUntil != nil || absences[device] == nil {
            var trouble = troubles[device] ?? Trouble()
            if trouble.last + plan.patience.steady.planNanoseconds < now { trouble.count = 0 }
            (trouble.count, trouble.last) = (trouble.count + 1, now)
            troubles[device] = trouble
        }
        absences[device] = Absence(cause: cause, heldUntil: nil)
        reconsider(now)
    }

    /// A device can be used: one that was looked at, or that was away.
    package mutating func found(_ device: DeviceID, now: Int) {
        looks[device] = nil
        if absences[device] != nil, absences[device]?.heldUntil == nil {
            let count = troubles[device]?.count ?? 1
            absences[device]?.heldUntil = now.addingCapped(Self.doubled(plan.patience.hold, count - 1, plan.patience.longestHold))
        }
        reconsider(now)
    }

    /// A device serves again what it served before it went: there is nothing to wait for.
    package mutating func servesAgain(_ device: DeviceID, now: Int) {
        looks[device] = nil
        absences[device] = nil
        reconsider(now)
    }

    /// A group serves. Said of one that ended and is the same again.
    package mutating func formed(_ formation: Formation, now: Int) {
        guard let cause = broken.removeValue(forKey: Set(formation.devices)), absences.isEmpty else { return }
        tell(.restored, cause, "\(formation) serves again", now)
    }

    /// A formation serves; what went before is forgotten when it has done so for long enough.
    package mutating func served(_ formation: Formation, since: Int, now: Int) {
        guard now - since >= plan.patience.steady.planNanoseconds else { return }
        blameless[Set(formation.devices)] = nil
        for device in formation.devices { troubles[device] = nil }
    }

    /// Whether failures of `device` are still remembered.
    package func isTroubled(_ device: DeviceID) -> Bool { troubles[device] != nil }

    /// Scaling wants so many replicas. False where there is no such plan.
    package mutating func scale(to count: Int, _ text: String, now: Int) -> Bool {
        guard count != replicas, let plan = try? request(replicas: count).plan(), plan.replicas.count == count else {
            return false
        }
        tell(count > replicas ? .scaledUp : .scaledDown, .queue, text, now)
        (replicas, wished) = (count, plan)
        reconsider(now, isQuiet: true)
        return true
    }

    /// What has become due by itself.
    package mutating func tick(now: Int) {
        let late = looks.filter { $0.value <= now }.keys.sorted()
        let due = absences.filter { $0.value.heldUntil.map { $0 <= now } ?? false }.keys.sorted()
        for device in due { absences[device] = nil }
        for device in late { lost(device, .start, now: now) }
        if !due.isEmpty { reconsider(now) }
    }

    // MARK: - The plan

    private mutating func reconsider(_ now: Int, isQuiet: Bool = false) {
        guard looks.isEmpty else { return }
        let before = current
        let next: Plan?
        do throws(ApusError) {
            next = try request(replicas: replicas).degraded(without: away)
        } catch {
            next = nil
            if before != nil { tell(.nobody, latestCause, error.message, now) }
        }
        current = next
        guard let next, next != before else { return }
        broken = [:]
        guard !isQuiet else { return }
        let known = before?.steps ?? []
        for step in next.steps where !known.contains(step) { tell(PlanStep.Kind(step.kind), latestCause, step.reason, now) }
        if next.steps.count < known.count || before == nil {
            tell(.restored, .returned, next.steps.isEmpty ? "\(next) as asked for" : "\(next), nearer to what was asked for", now)
        }
    }

    /// Of the devices that are away.
    private var latestCause: PlanStep.Cause {
        absences.max { left, right in
            let (l, r) = (troubles[left.key]?.last ?? 0, troubles[right.key]?.last ?? 0)
            return l != r ? l < r : left.key < right.key
        }?.value.cause ?? .unknown
    }

    private mutating func tell(_ kind: PlanStep.Kind, _ cause: PlanStep.Cause, _ text: String, _ now: Int) {
        let step = PlanStep(kind, cause, text, at: now)
        lastStep = step
        news.append(step)
    }

    private func request(replicas: Int) throws(ApusError) -> PlanRequest {
        let request = plan.request
        var wishes = request.wishes
        // A plan of explicit stages, or of one device, has one replica by itself.
        let isFixed = !wishes.splits.isEmpty || wishes.strategy == .none || wishes.assignedDevice(of: request.model.name) != nil
        guard replicas != plan.wished.replicas.count, !isFixed else { return request }
        wishes.replicas = replicas
        return try PlanRequest(
            request.model, on: request.devices, topology: request.topology, wishes: wishes, tokens: request.tokens,
            microBatches: request.microBatches)
    }

    /// `first` for a count of 0, twice as much with each further one, at most `longest`.
    private static func doubled(_ first: Duration, _ count: Int, _ longest: Duration) -> Int {
        let (time, overflow) = first.planNanoseconds.multipliedReportingOverflow(by: 1 << min(max(0, count), 40))
        return overflow ? longest.planNanoseconds : min(time, longest.planNanoseconds)
    }
}

extension PlanStep.Kind {
    init(_ kind: Plan.Step.Kind) {
        self =
            switch kind {
            case .reallocated: .reallocated
            case .reduced: .reduced
            case .oneDevice: .oneDevice
            case .shrunk: .shrunk
            case .cpu: .cpu
            }
    }
}

extension Duration {
    /// Whole nanoseconds of a time of a valid plan, a day at most.
    var planNanoseconds: Int {
        let (seconds, attoseconds) = components
        return Int(seconds) * 1_000_000_000 + Int(attoseconds / 1_000_000_000)
    }
}

extension Int {
    func addingCapped(_ other: Int) -> Int {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
