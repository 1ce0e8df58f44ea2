extension BatchPlanner {
    /// Seconds of work that a class may get ahead of its share before it waits its turn.
    private static let burstSeconds = 0.25
    /// High work is expected for so long after some came: nanoseconds.
    private static let highMemory = 10_000_000_000
    /// Of the high class's latency target, what a batch of low work may take meanwhile.
    private static let lowPart = 0.25
    /// Padding that a batch takes on while much waits, as a part of its budget.
    private static let paddingPart = 0.03

    /// Gives idle lanes what waits.
    mutating func launch(now: Int) -> [Action] {
        var actions: [Action] = []
        while !idleLanes.isEmpty {
            actions += expire(now: now)
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
            let batch = waiting.takeBatch(priority, within: bounds(state, priority, now: now))
            guard !batch.ids.isEmpty else { break }
            occupy(lane, batch.shape, now: now)
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
    private mutating func companyExpected(_ lane: Lane, now: Int) -> Int? {
        guard maxWait > 0, lanes.values.contains(where: \.isBusy), let cost = cost(device: lane.device), cost.isTrusted,
            let oldest = waiting.oldest()
        else { return nil }
        let until = oldest.saturatingAdd(maxWait)
        guard now < until, waiting.count < policy.maxBatchSize, waiting.tokens < budget(lane),
            Double(waiting.count) < arrivals.perSecond(now: now) * cost.fixed
        else { return nil }
        return until
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
        // The more waits, the choosier: what does not fit this batch well will fit another.
        let backlog = Double(waiting.tokens(priority)) / Double(budget)
        if backlog > 1 {
            bounds.maxPadding = Int(exactly: (Double(budget) * max(Self.paddingPart, 1 / (backlog * backlog))).rounded(.up)) ?? budget
        }
        if let cost = cost(device: lane.device) {
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

    /// What no batch on `lane` may exceed.
    func limits(_ lane: Lane) -> BatchBounds {
        let budget = budget(lane)
        let padded = min(budget.saturatingMultiply(2), accounts[lane.device]?.ceiling ?? .max)
        return BatchBounds(tokenBudget: min(budget, padded), paddedBudget: padded, maxCount: policy.maxBatchSize)
    }
}
