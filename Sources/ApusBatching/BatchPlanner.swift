package import ApusErrors

/// Decides which sequences run together, where and when: events in, actions out, no clock and no tensors.
///
/// A batch is bound at the moment a lane is free and not before, so sequences of any connection share it. The oldest waiting
/// sequence is always in the next batch; the rest are those nearest to it in length, so that little is padded and nobody starves.
/// Lanes come and go with their devices; what a lost device leaves behind is put back ahead of everything else.
package struct BatchPlanner: Sendable {
    /// One sequence that waits. The caller chooses `id`, unique among those waiting.
    package struct Item: Sendable, Equatable {
        package var id: Int
        package var tokens: Int
        /// Nanoseconds on the caller's clock after which nobody wants the answer; nil waits for ever.
        package var deadline: Int?

        package init(id: Int, tokens: Int, deadline: Int? = nil) {
            self.id = id
            self.tokens = tokens
            self.deadline = deadline
        }
    }

    /// Sequences that ran once without an answer and run again, in a batch of their own.
    package struct Replay: Sendable, Equatable {
        package var items: [Item]
        /// The device they came back from: its lanes are used only when there are no others.
        package var avoidedDevice: Int?
        package var company: Company

        package init(_ items: [Item], avoiding device: Int? = nil, company: Company = .any) {
            self.items = items
            avoidedDevice = device
            self.company = company
        }
    }

    /// What may run on a device beside a batch.
    package enum Company: Sendable, Equatable {
        case any
        /// Nothing: when the device fails, nothing else can be the reason.
        case none
    }

    /// Whether items begin a request or belong to one that was taken before.
    package enum Admission: Sendable {
        case new
        /// Taken whatever waits: refusing the rest of a request would waste what was computed for it.
        case continuing
    }

    package enum Action: Sendable, Equatable {
        /// Run these together on the lane, now.
        case launch(lane: Int, ids: [Int])
        /// Their deadline passed before they ran.
        case expire(ids: [Int])
    }

    package let limits: BatchLimits
    /// Share of the queue that is open, 0 to 1: a fleet that lost devices promises less.
    package var capacity = 1.0
    private var lanes: [Int: Lane] = [:]
    /// In the order in which lanes became idle.
    private var idleLanes: [Int] = []
    private var waiting = WaitingLine()
    private var replays: [Replay] = []
    /// Devices that run a batch which allows no other beside it, and its lane.
    private var secluded: [Int: Int] = [:]

    private struct Lane: Sendable {
        var device: Int
        /// Share of the token budget that a batch may fill, above 0 to 1. Lanes of a larger share are filled first.
        var share = 1.0
        var isBusy = false
    }

    package init(limits: BatchLimits) {
        self.limits = limits
    }

    package var laneCount: Int { lanes.count }
    /// Sequences waiting to run.
    package var waitingCount: Int { waiting.count + replays.reduce(0) { $0 + $1.items.count } }
    /// Tokens waiting to run.
    package var waitingTokens: Int { waiting.tokens + replays.reduce(0) { $0 + $1.tokens } }

    /// A new lane that is idle. `device` groups the lanes of one device.
    package mutating func addLane(_ lane: Int, device: Int, share: Double = 1, now: Int) -> [Action] {
        lanes[lane] = Lane(device: device, share: Self.clamped(share))
        idleLanes.insert(lane, at: 0)
        return launch(now: now)
    }

    /// The lane takes no more work; what it runs now is the caller's to finish or to ``putBack(_:now:)``.
    package mutating func removeLane(_ lane: Int) {
        if let device = lanes.removeValue(forKey: lane)?.device, secluded[device] == lane { secluded[device] = nil }
        idleLanes.removeAll { $0 == lane }
    }

    /// Changes how large the batches of a lane may become.
    package mutating func setShare(_ share: Double, ofLane lane: Int) {
        lanes[lane]?.share = Self.clamped(share)
    }

    /// Takes all of `items` or, when they do not fit into the queue, none. `now` is in nanoseconds on the caller's clock.
    ///
    /// Throws `overloaded`. Items larger than the whole queue are taken when nothing else waits.
    package mutating func enqueue(
        _ items: [Item], _ admission: Admission = .new, now: Int
    ) throws(ApusError) -> [Action] {
        let (tokens, overflow) = items.reduce((waitingTokens, false)) { sum, item in
            let (total, overflow) = sum.0.addingReportingOverflow(item.tokens)
            return (total, sum.1 || overflow)
        }
        let limit = queueLimit
        guard admission == .continuing || waiting.count == 0 || (!overflow && tokens <= limit) else {
            throw ApusError(
                .overloaded, "\(waitingTokens) tokens are waiting, the limit is \(limit)",
                advice: "Send again later, or raise the limit of queued tokens")
        }
        for item in items { waiting.append(item) }
        return launch(now: now)
    }

    /// The lane finished its batch.
    package mutating func laneFinished(_ lane: Int, now: Int) -> [Action] {
        if let device = lanes[lane]?.device, lanes[lane]?.isBusy == true {
            lanes[lane]?.isBusy = false
            if secluded[device] == lane { secluded[device] = nil }
            idleLanes.append(lane)
        }
        return launch(now: now)
    }

    /// Takes back what a lane could not finish. It runs before everything else that waits, each replay as a batch of its own.
    package mutating func putBack(_ returned: [Replay], now: Int) -> [Action] {
        replays += returned.filter { !$0.items.isEmpty }
        return launch(now: now)
    }

    /// Takes back what does not run yet; what runs already is not stopped. Returns the ids that were still waiting.
    package mutating func cancel(_ ids: [Int]) -> [Int] {
        guard !replays.isEmpty else { return ids.filter { waiting.remove($0) } }
        let wanted = Set(ids)
        var cancelled = replays.flatMap(\.items).map(\.id).filter(wanted.contains)
        for index in replays.indices { replays[index].items.removeAll { wanted.contains($0.id) } }
        replays.removeAll { $0.items.isEmpty }
        cancelled += ids.filter { waiting.remove($0) }
        return cancelled
    }

    /// Takes out what nobody waits for any more. Only needed while there is no lane: launching looks first.
    package mutating func expire(now: Int) -> [Action] {
        var expired = waiting.removeExpired(now: now)
        for index in replays.indices {
            expired += replays[index].items.filter { $0.isExpired(now) }.map(\.id)
            replays[index].items.removeAll { $0.isExpired(now) }
        }
        replays.removeAll { $0.items.isEmpty }
        return expired.isEmpty ? [] : [.expire(ids: expired)]
    }

    /// Tokens that may wait now: never less than a tenth of the limit, so that a short absence of all devices refuses nobody.
    private var queueLimit: Int {
        guard capacity < 1 else { return limits.maxQueuedTokens }
        return Int(exactly: (Double(limits.maxQueuedTokens) * max(0.1, capacity)).rounded(.up)) ?? limits.maxQueuedTokens
    }

    private mutating func launch(now: Int) -> [Action] {
        var actions: [Action] = []
        while !idleLanes.isEmpty {
            actions += expire(now: now)
            let (replay, reserved) = nextReplay()
            if let replay {
                actions.append(replay)
                continue
            }
            guard waiting.count > 0, let lane = takeIdleLane(where: { $0.device != reserved }) else { break }
            // Work that idle lanes could share is shared: half the work on each of two lanes is done in half the time.
            let share = (waiting.tokens + idleLanes.count) / (idleLanes.count + 1)
            let budget = budget(lane)
            let ids = waiting.takeBatch(
                tokenBudget: min(budget, max(share, 1)), paddedBudget: 2 * budget, maxCount: limits.maxBatchSize)
            actions.append(.launch(lane: lane, ids: ids))
        }
        return actions
    }

    /// The first replay that an idle lane may take, if there is one, and else a device that is to run dry for one that wants it to itself. Its
    /// old device is good enough for a replay when there is no other.
    private mutating func nextReplay() -> (Action?, reserved: Int?) {
        let devices = Set(lanes.values.map(\.device))
        var reserved: Int?
        for (index, replay) in replays.enumerated() {
            let hasChoice = devices.contains { $0 != replay.avoidedDevice }
            var places = devices.filter { (!hasChoice || $0 != replay.avoidedDevice) && $0 != reserved }
            if replay.company == .none {
                // One at a time: the device with the least to wait for.
                guard reserved == nil, let device = places.min(by: { (busyLanes($0), $0) < (busyLanes($1), $1) }) else { continue }
                guard busyLanes(device) == 0 else {
                    reserved = device
                    continue
                }
                places = [device]
            }
            guard let lane = takeIdleLane(where: { places.contains($0.device) }) else { continue }
            if replay.company == .none, let device = lanes[lane]?.device { secluded[device] = lane }
            replays.remove(at: index)
            return (.launch(lane: lane, ids: replay.items.map(\.id)), nil)
        }
        return (nil, reserved)
    }

    private func busyLanes(_ device: Int) -> Int {
        lanes.values.count { $0.device == device && $0.isBusy }
    }

    /// Of the idle lanes that fit, the one of the largest share; of equals the one that ran last, whose cache is warm. Busy from now on.
    private mutating func takeIdleLane(where fits: (Lane) -> Bool) -> Int? {
        var best: (place: Int, share: Double)?
        for (place, lane) in idleLanes.enumerated() {
            guard let state = lanes[lane], secluded[state.device] == nil, fits(state), state.share >= best?.share ?? 0 else { continue }
            best = (place, state.share)
        }
        guard let best else { return nil }
        let lane = idleLanes.remove(at: best.place)
        lanes[lane]?.isBusy = true
        return lane
    }

    private func budget(_ lane: Int) -> Int {
        max(1, Int((Double(limits.tokenBudget) * (lanes[lane]?.share ?? 1)).rounded()))
    }

    private static func clamped(_ share: Double) -> Double {
        share.isFinite ? min(1, max(0.01, share)) : 1
    }
}

extension BatchPlanner.Item {
    fileprivate func isExpired(_ now: Int) -> Bool {
        deadline.map { $0 <= now } ?? false
    }
}

extension BatchPlanner.Replay {
    fileprivate var tokens: Int { items.reduce(0) { $0 + $1.tokens } }
}
