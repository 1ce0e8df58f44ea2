extension BatchPlanner {
    /// Seconds of work that a class may get ahead of its share before it waits its turn.
    private static let burstSeconds = 0.25
    /// High work is expected for so long after some came: nanoseconds.
    private static let highMemory = 10_000_000_000
    /// Of the high class's latency target, what a batch of low work may take meanwhile.
    private static let lowPart = 0.25
    /// Budgets behind the seed from which sequences may overtake to fill a batch of their length: enough to choose from that
    /// little is padded.
    private static let windowBudgets = 48
    /// Mean intervals between arrivals without one, after which no more is expected: chance leaves one gap in twenty that long.
    private static let patience = 3.0

    /// Gives idle lanes what waits.
    mutating func launch(now: Int) -> [Action] {
        var actions: [Action] = []
        while !idleLanes.isEmpty {
            actions += dropExpired(now: now)
            let (replay, reserved) = nextReplay(now: now)
            if let replay {
                actions.append(replay)
                continue
            }
            guard waiting.count > 0, let lane = idleLane(where: { $0.device != reserved }), let state = lanes[lane] else { break }
            if let until = companyExpected(state, now: now) {
                if let wake = request(until) { actions.append(wake) }
                break
            }
            guard let priority = waiting.nextClass(burst: burst(state)) else { break }
            let (batch, taken) = waiting.takeBatch(priority, within: bounds(state, priority, now: now))
            guard !batch.ids.isEmpty else { break }
            for waiting in taken { waitFactor.record(predicted: waiting.predicted, from: waiting.enqueued, to: now) }
            occupy(lane, batch, taken, now: now)
            actions.append(.launch(lane: lane, ids: batch.ids))
        }
        return actions
    }

    /// Until when `lane` had better wait for more to run together; nil to start now.
    ///
    /// Let `a` be the fixed cost of a batch, `b` that of a sequence, `n` the sequences that wait and `L` those that arrive per second. Starting
    /// after a wait of `t` completes `n + L t` sequences in `t + a + b (n + L t)` seconds. The derivative of that throughput by `t` at 0 has
    /// the sign of `L (a + b n) - n (1 + b L) = L a - n`: waiting gains while `n < L a`, and only then. And it gains only when lanes are short:
    /// while none is busy a wait would leave the machine idle, so one client that sends its next sequence after its last answer never waits.
    ///
    /// Clients that all wait for an answer send nothing, though, whatever their rate was. So nothing is waited for while as many sequences
    /// wait or run as ever did lately, and the wait ends ``BatchPolicy/maxWait`` after the oldest was enqueued or, before that, when
    /// nothing came for three times the usual while.
    private mutating func companyExpected(_ lane: Lane, now: Int) -> Int? {
        guard maxWait > 0, lanes.values.contains(where: \.isBusy), let cost = cost(device: lane.device), cost.isTrusted,
            let oldest = waiting.oldest(), let last = arrivals.last,
            waiting.count < policy.maxBatchSize, waiting.tokens < budget(lane),
            arrivals.isAnyoneMissing(present: presentCount, now: now),
            Double(waiting.count) < arrivals.sequencesPerSecond(now: now) * cost.fixed
        else { return nil }
        let patience = min(Self.patience * 1e9 / arrivals.callsPerSecond(now: last), Double(maxWait))
        let until = min(oldest.saturatingAdd(maxWait), last.saturatingAdd(Int(exactly: patience.rounded()) ?? 0))
        return now < until ? until : nil
    }

    /// Asks for a wake unless one comes soon enough.
    private mutating func request(_ time: Int) -> Action? {
        guard pendingWake.map({ time < $0 }) ?? true else { return nil }
        pendingWake = time
        return .wake(at: time)
    }

    /// Tokens that a class may get ahead of its share.
    private func burst(_ lane: Lane) -> Double {
        guard let pace = accounts[lane.device]?.secondsPerToken(maxCount: policy.maxBatchSize) else { return 4 * Double(budget(lane)) }
        return Self.burstSeconds / pace
    }

    private func bounds(_ lane: Lane, _ priority: Priority, now: Int) -> BatchBounds {
        var bounds = limits(lane)
        let budget = bounds.tokenBudget
        // Work that idle lanes could share is shared: half the work on each of two lanes is done in half the time.
        let others = max(0, idleLanes.count - 1)
        bounds.tokenBudget = min(budget, max(1, waiting.tokens.saturatingAdd(others) / (others + 1)))
        bounds.window = window(lane)
        if lane.pads { bounds.maxPadding = bounds.padding(waiting: min(waiting.tokens(priority), bounds.window)) }
        if let cost = cost(device: lane.device) {
            // Padding is never to cost more than another batch would.
            if lane.pads, cost.isTrusted, cost.perPadding > 0 {
                let worth = min(cost.fixed / cost.perPadding, 1e9)
                bounds.maxPadding = min(bounds.maxPadding, max(bounds.leastPadding, Int(exactly: worth.rounded()) ?? 0))
            }
            var seconds = policy.targetLatency?.inSeconds ?? .infinity
            if priority == .low, expectsHigh(now: now) {
                seconds = min(seconds, Self.lowPart * policy.highLatencyTarget.inSeconds)
            }
            if seconds.isFinite { bounds.time = (seconds, cost) }
        }
        return bounds
    }

    private func expectsHigh(now: Int) -> Bool {
        waiting.count(.high) > 0 || lastHighArrival.map { now < $0.saturatingAdd(Self.highMemory) } ?? false
    }

    func window(_ lane: Lane) -> Int { budget(lane).saturatingMultiply(Self.windowBudgets) }

    /// What no batch on `lane` may exceed.
    func limits(_ lane: Lane) -> BatchBounds {
        let budget = budget(lane)
        let ceiling = accounts[lane.device]?.ceiling ?? .max
        guard lane.pads else {
            return BatchBounds(tokenBudget: min(budget, ceiling), paddedBudget: .max, maxCount: policy.maxBatchSize, pads: false)
        }
        let padded = min(budget.saturatingMultiply(2), ceiling)
        return BatchBounds(tokenBudget: min(budget, padded), paddedBudget: padded, maxCount: policy.maxBatchSize)
    }
}
