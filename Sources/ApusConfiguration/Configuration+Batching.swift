extension Configuration {
    /// How batches are made. What is nil is left to the scheduler.
    package struct Batching: Sendable, Equatable {
        /// Parts of the work that a class of priority is entitled to while others wait: weights, each 1 or more, all of them or none.
        package struct Shares: Sendable, Equatable {
            package var high: Int?
            package var medium: Int?
            package var low: Int?

            /// Whether all are named, or none.
            var isWhole: Bool {
                let named = [high, medium, low].count { $0 != nil }
                return named == 0 || named == 3
            }

            package init(high: Int? = nil, medium: Int? = nil, low: Int? = nil) {
                self.high = high
                self.medium = medium
                self.low = low
            }
        }

        /// Tokens of one batch.
        package var tokenBudget: Int?
        /// Sequences that a batch would be best with; nothing goes by it.
        package var preferredSize: Int?
        /// Sequences of one batch.
        package var maxSize: Int?
        /// How long the first sequence of a batch may wait for others.
        package var maxWait: Duration?
        /// Whether a batch may wait for others at all: when not, ``maxWait`` is of no use.
        package var isDynamic: Bool?
        /// From acceptance to answer, the 95th percentile that the size of batches is to follow.
        package var targetLatency: Duration?
        /// Whether the size of batches follows ``targetLatency``.
        package var isAdaptive: Bool?
        package var shares = Shares()
        /// The answer time that the high class is promised: batches of low work are kept short beside it.
        package var highLatencyTarget: Duration?
        /// Estimated work that may wait in one class; more is refused.
        package var maxQueue: Duration?

        package init() {}

        /// How long a batch waits for others, with ``isDynamic`` heeded.
        package var effectiveMaxWait: Duration? { isDynamic == false ? .zero : maxWait }

        /// The latency that sizes follow, with ``isAdaptive`` heeded; nil for sizes that follow none.
        package var effectiveTargetLatency: Duration? { isAdaptive == false ? nil : targetLatency }

        /// These settings, and `others` where these say nothing.
        package func over(_ others: Batching) -> Batching {
            var merged = self
            merged.tokenBudget = tokenBudget ?? others.tokenBudget
            merged.preferredSize = preferredSize ?? others.preferredSize
            merged.maxSize = maxSize ?? others.maxSize
            merged.maxWait = maxWait ?? others.maxWait
            merged.isDynamic = isDynamic ?? others.isDynamic
            merged.targetLatency = targetLatency ?? others.targetLatency
            merged.isAdaptive = isAdaptive ?? others.isAdaptive
            merged.shares = Shares(
                high: shares.high ?? others.shares.high, medium: shares.medium ?? others.shares.medium, low: shares.low ?? others.shares.low)
            merged.highLatencyTarget = highLatencyTarget ?? others.highLatencyTarget
            merged.maxQueue = maxQueue ?? others.maxQueue
            return merged
        }
    }
}
