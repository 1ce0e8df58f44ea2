package import ApusErrors

/// Decides which sequences run together, where and when: events in, actions out, no clock and no tensors.
///
/// A batch is bound at the moment a lane is free and not before, so sequences of any connection share it. Which class, which client and
/// which deadline is next is ``WaitingLine``'s to say; the rest of a batch are those nearest to it in length, so that little is padded.
/// Lanes come and go with their devices; what a lost device leaves behind is put back ahead of everything else.
///
/// All times are nanoseconds on the caller's clock.
package struct BatchPlanner: Sendable {
    package let policy: BatchPolicy
    /// Share of the queue that is open, 0 to 1: a fleet that lost devices promises less.
    package var capacity = 1.0

    var lanes: [Int: Lane] = [:]
    /// In the order in which lanes became idle.
    var idleLanes: [Int] = []
    var waiting: WaitingLine
    var replays: [Replay] = []
    /// Devices that run a batch which allows no other beside it, and its lane.
    var secluded: [Int: Int] = [:]
    var accounts: [Int: DeviceAccount] = [:]
    var arrivals = ArrivalRate()
    var waitFactor = WaitFactor()
    var lastHighArrival: Int?
    /// When the caller will call ``tick(now:)``.
    var pendingWake: Int?
    /// Seconds of waiting work that a client may have.
    var clientLimits: [Int: Double] = [:]
    /// The policy's times in nanoseconds.
    let ageBound: Int
    let maxWait: Int

    struct Lane: Sendable {
        var device: Int
        var tokenBudget: Int
        /// Share of the token budget that a batch may fill, above 0 to 1. Lanes of a larger share are filled first.
        var share: Double
        /// Whether what it runs is padded to the longest sequence.
        var pads = true
        var isBusy = false
        /// Sequences that it runs.
        var running = 0
        /// The ids of its batch.
        var ids: [Int] = []
        /// What its batch took from the line; empty for a replay.
        var taken: [WaitingItem] = []
        /// When what it runs should end; only while that can be predicted.
        var busyUntil: Int?
    }

    /// Larger sequences count as this: a size that no model has and no sum of which overflows.
    static let largestItem = 1 << 32

    package init(policy: BatchPolicy) {
        self.policy = policy
        waiting = WaitingLine(shares: policy.shares)
        ageBound = policy.ageBound.nanoseconds
        maxWait = policy.maxWait.nanoseconds
    }

    package var laneCount: Int { lanes.count }
    /// Sequences waiting to run.
    package var waitingCount: Int { waiting.count + replays.reduce(0) { $0 + $1.items.count } }
    /// Tokens waiting to run.
    package var waitingTokens: Int { waiting.tokens.saturatingAdd(replayTokens) }

    /// Sequences that wait or run.
    var presentCount: Int { lanes.values.reduce(waitingCount) { $0 + $1.running } }

    var replayTokens: Int { replays.reduce(0) { $0.saturatingAdd($1.tokens) } }

    /// Takes all of `items` or, when they do not fit into the queue, none.
    ///
    /// Throws `overloaded` and, for a client's own limit, `rate_limit_exceeded`, with a ``QueueWait`` as the cause. Items larger than the whole
    /// queue are taken when nothing else waits.
    package mutating func enqueue(
        _ items: [Item], _ admission: Admission = .new, now: Int
    ) throws(ApusError) -> [Action] {
        let items = items.map(Self.bounded)
        switch admission {
        case .new: try admit(items, now: now)
        case .first(let part): try admit(items, part: part, now: now)
        case .continuing: break
        }
        var predictions: [Priority: Int] = [:]
        for item in items where predictions[item.priority] == nil { predictions[item.priority] = predictedWait(item.priority, now: now) }
        for item in items {
            waiting.append(item, now: now, ageBound: ageBound, predicted: predictions[item.priority] ?? 0)
            if item.priority == .high { lastHighArrival = now }
        }
        arrivals.record(items.count, present: presentCount, now: now)
        return launch(now: now)
    }

    /// Takes back what a lane could not finish. It runs before everything else that waits, each replay as a batch of its own.
    package mutating func putBack(_ returned: [Replay], now: Int) -> [Action] {
        for var replay in returned where !replay.items.isEmpty {
            replay.items = replay.items.map(Self.bounded)
            replays.append(replay)
        }
        return launch(now: now)
    }

    /// Takes back what does not run yet; what runs already is not stopped. Returns the ids that were still waiting. A device that ran dry for
    /// one of them takes other work again with the next event.
    package mutating func cancel(_ ids: [Int]) -> [Int] {
        guard !replays.isEmpty else { return ids.filter { waiting.remove($0) } }
        let wanted = Set(ids)
        var cancelled = replays.flatMap(\.items).map(\.id).filter(wanted.contains)
        for index in replays.indices { replays[index].items.removeAll { wanted.contains($0.id) } }
        replays.removeAll { $0.items.isEmpty }
        cancelled += ids.filter { waiting.remove($0) }
        return cancelled
    }

    /// Somebody more urgent waits for the item `id` too: it moves to the class `priority` if that is more urgent than its own. `deadline` nil
    /// lets it wait for ever from now on, else the later of it and its own counts. What does not wait any more is left alone.
    package mutating func promote(id: Int, to priority: Priority, deadline: Int?) {
        for index in replays.indices {
            guard let place = replays[index].items.firstIndex(where: { $0.id == id }) else { continue }
            let item = replays[index].items[place]
            replays[index].items[place].priority = min(priority, item.priority)
            replays[index].items[place].deadline = Self.later(item.deadline, deadline)
            return
        }
        guard let deadlineNow = waiting.deadline(id) else { return }
        _ = waiting.promote(id, to: priority, deadline: Self.later(deadlineNow, deadline), ageBound: ageBound)
    }

    /// Takes out what nobody waits for any more. Only needed while no lane is idle: launching looks first.
    package mutating func expire(now: Int) -> [Action] {
        dropExpired(now: now) + launch(now: now)
    }

    /// What cannot be done by its deadline any more counts as expired: running it would only make others late, too.
    mutating func dropExpired(now: Int) -> [Action] {
        let late = waiting.removeExpired(now: now.saturatingAdd(leastRun))
        for gone in late { waitFactor.record(predicted: gone.predicted, from: gone.enqueued, to: now, isOver: false) }
        var expired = late.map(\.item.id)
        for index in replays.indices {
            expired += replays[index].items.filter { $0.isExpired(now) }.map(\.id)
            replays[index].items.removeAll { $0.isExpired(now) }
        }
        replays.removeAll { $0.items.isEmpty }
        return expired.isEmpty ? [] : [.expire(ids: expired)]
    }

    /// The time of a ``Action/wake(at:)`` came.
    package mutating func tick(now: Int) -> [Action] {
        // An early tick has used up its wake, too.
        pendingWake = nil
        return launch(now: now)
    }

    static func bounded(_ item: Item) -> Item {
        var item = item
        item.tokens = min(max(item.tokens, 0), largestItem)
        return item
    }

    private static func later(_ a: Int?, _ b: Int?) -> Int? {
        guard let a, let b else { return nil }
        return max(a, b)
    }
}
