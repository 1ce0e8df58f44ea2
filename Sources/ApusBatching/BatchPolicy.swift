package import ApusErrors

/// What the scheduler promises and how large its batches may become. Every batcher is a value of this type.
package struct BatchPolicy: Sendable, Equatable {
    /// The longest that a sequence waits for company while a lane is free; 0 never waits. See ``BatchPlanner``.
    package let maxWait: Duration
    /// Tokens of one batch, padding not counted; nil leaves it to the device. A batch of one sequence may exceed it.
    package let tokenBudget: Int?
    /// Sequences of one batch.
    package let maxBatchSize: Int
    /// The latency that 95 of 100 answers should have; nil leaves the size of batches as it is.
    package let targetLatency: Duration?
    /// What each class gets of the computing while all of them have work; they add up to 1.
    package let shares: [Priority: Double]
    /// The latency that the high class is to keep. A batch of low work takes at most a quarter of it while high work is expected.
    package let highLatencyTarget: Duration
    /// After so long a sequence counts as due, whatever its deadline.
    package let ageBound: Duration
    /// Work that may wait in a class, in estimated time until it has run.
    package let maxQueue: Duration
    /// Tokens that may wait while nothing is known about their cost.
    package let maxQueuedTokens: Int

    /// Few enough tokens to keep the activations of a small encoder in a core's L2 cache, which measured faster than any larger budget.
    package static let defaultTokenBudget = 384
    package static let defaultMaxBatchSize = 64
    /// Keeps every index into a batch within 32 bits.
    package static let largestTokenBudget = 1 << 24
    package static let defaultShares: [Priority: Double] = [.high: 0.5, .medium: 0.3, .low: 0.2]
    /// The longest time that a setting may name: everything beyond is a mistake in the unit.
    package static let longestTime = Duration.seconds(86_400)

    /// Throws `invalid_value`, naming the setting, unless counts are at least 1, the token budget is at most ``largestTokenBudget``, times
    /// are above 0 (`maxWait` may be 0) and at most ``longestTime``, and `shares` names a number above 0 for every class. The shares are
    /// divided by their sum.
    package init(
        maxWait: Duration = .milliseconds(10),
        tokenBudget: Int? = nil,
        maxBatchSize: Int = defaultMaxBatchSize,
        targetLatency: Duration? = nil,
        shares: [Priority: Double] = defaultShares,
        highLatencyTarget: Duration = .milliseconds(100),
        ageBound: Duration = .seconds(1),
        maxQueue: Duration = .seconds(10),
        maxQueuedTokens: Int = 1_000_000
    ) throws(ApusError) {
        for (name, count) in [
            ("token budget", tokenBudget ?? 1), ("maximum batch size", maxBatchSize), ("maximum of queued tokens", maxQueuedTokens),
        ] where count < 1 {
            throw ApusError(.invalidValue, "the \(name) of a batch is \(count), it must be at least 1")
        }
        if let tokenBudget, tokenBudget > Self.largestTokenBudget {
            throw ApusError(.invalidValue, "the token budget of a batch is \(tokenBudget), it must be at most \(Self.largestTokenBudget)")
        }
        guard maxWait >= .zero, maxWait <= Self.longestTime else {
            throw ApusError(.invalidValue, "the maximum wait is \(maxWait), it must be from 0 to \(Self.longestTime)")
        }
        for (name, time) in [
            ("target latency", targetLatency ?? .seconds(1)), ("latency target of the high class", highLatencyTarget),
            ("age bound", ageBound), ("maximum queue", maxQueue),
        ] where time <= .zero || time > Self.longestTime {
            throw ApusError(.invalidValue, "the \(name) is \(time), it must be above 0 and at most \(Self.longestTime)")
        }
        self.shares = try Self.normalised(shares)
        self.maxWait = maxWait
        self.tokenBudget = tokenBudget
        self.maxBatchSize = maxBatchSize
        self.targetLatency = targetLatency
        self.highLatencyTarget = highLatencyTarget
        self.ageBound = ageBound
        self.maxQueue = maxQueue
        self.maxQueuedTokens = maxQueuedTokens
    }

    private static func normalised(_ shares: [Priority: Double]) throws(ApusError) -> [Priority: Double] {
        for priority in Priority.allCases {
            guard let share = shares[priority] else {
                throw ApusError(.invalidValue, "the class \(priority) has no share")
            }
            guard share.isFinite, share > 0, share <= 1e6 else {
                throw ApusError(.invalidValue, "the share of the class \(priority) is \(share), it must be above 0 and at most 1000000")
            }
        }
        let sum = shares.values.reduce(0, +)
        let normalised = shares.mapValues { $0 / sum }
        // Smaller ones would starve for hours and drown in rounding.
        if let (priority, share) = normalised.first(where: { $0.value < 1e-4 }) {
            throw ApusError(.invalidValue, "the share of the class \(priority) is \(share) of all, it must be at least 0.0001")
        }
        return normalised
    }
}
