import ApusBatching
import ApusConfiguration
import ApusErrors

extension BatchPolicy {
    /// How batches are made as the configuration says; the scheduler's own choice where it says nothing.
    init(_ batching: Configuration.Batching, maxQueuedTokens: Int) throws(ApusError) {
        let standard = try BatchPolicy()
        var shares = standard.shares
        for (priority, weight) in [(Priority.high, batching.shares.high), (.medium, batching.shares.medium), (.low, batching.shares.low)] {
            if let weight { shares[priority] = Double(weight) }
        }
        try self.init(
            maxWait: batching.effectiveMaxWait ?? standard.maxWait, tokenBudget: batching.tokenBudget,
            maxBatchSize: batching.maxSize ?? standard.maxBatchSize, targetLatency: batching.effectiveTargetLatency, shares: shares,
            highLatencyTarget: batching.highLatencyTarget ?? standard.highLatencyTarget, ageBound: standard.ageBound,
            maxQueue: batching.maxQueue ?? standard.maxQueue, maxQueuedTokens: maxQueuedTokens)
    }
}
