package import ApusErrors

/// The batchers that have names of their own: each is the same scheduler, configured.
extension BatchPolicy {
    /// A dynamic batcher: batches form from what waits, and an idle lane starts at once.
    package static func dynamic(
        maxWait: Duration = .milliseconds(10), maxBatchSize: Int = defaultMaxBatchSize, tokenBudget: Int? = nil
    ) throws(ApusError) -> BatchPolicy {
        try BatchPolicy(maxWait: maxWait, tokenBudget: tokenBudget, maxBatchSize: maxBatchSize)
    }

    /// An adaptive batcher: batches become as large as `targetLatency` allows.
    package static func adaptive(
        targetLatency: Duration, maxWait: Duration = .milliseconds(10), maxBatchSize: Int = defaultMaxBatchSize, tokenBudget: Int? = nil
    ) throws(ApusError) -> BatchPolicy {
        try BatchPolicy(maxWait: maxWait, tokenBudget: tokenBudget, maxBatchSize: maxBatchSize, targetLatency: targetLatency)
    }

    /// A priority batcher: classes get these parts of the computing while all of them have work.
    package static func priority(
        high: Double = 0.5, medium: Double = 0.3, low: Double = 0.2, highLatencyTarget: Duration = .milliseconds(100),
        maxBatchSize: Int = defaultMaxBatchSize, tokenBudget: Int? = nil
    ) throws(ApusError) -> BatchPolicy {
        try BatchPolicy(
            tokenBudget: tokenBudget, maxBatchSize: maxBatchSize, shares: [.high: high, .medium: medium, .low: low],
            highLatencyTarget: highLatencyTarget)
    }
}
