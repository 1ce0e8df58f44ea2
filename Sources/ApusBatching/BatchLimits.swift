package import ApusErrors

/// How large a batch may become and how much may wait.
package struct BatchLimits: Sendable, Equatable {
    /// Tokens of one batch. A batch of one sequence may exceed it.
    package let tokenBudget: Int
    /// Sequences of one batch.
    package let maxBatchSize: Int
    /// Tokens that may wait; more are refused.
    package let maxQueuedTokens: Int

    /// Few enough tokens to keep the activations of a small encoder in a core's L2 cache, which measured faster than any larger budget.
    package static let defaultTokenBudget = 384
    package static let defaultMaxBatchSize = 64
    /// Keeps every index into a batch within 32 bits.
    package static let largestTokenBudget = 1 << 24
    package static let defaultMaxQueuedTokens = 1_000_000

    /// Throws `invalid_value` unless every limit is at least 1 and the token budget at most ``largestTokenBudget``.
    package init(
        tokenBudget: Int = defaultTokenBudget,
        maxBatchSize: Int = defaultMaxBatchSize,
        maxQueuedTokens: Int = defaultMaxQueuedTokens
    ) throws(ApusError) {
        for (name, value) in [
            ("token budget", tokenBudget), ("maximum batch size", maxBatchSize), ("maximum of queued tokens", maxQueuedTokens),
        ] where value < 1 {
            throw ApusError(.invalidValue, "the \(name) of a batch is \(value), it must be at least 1")
        }
        guard tokenBudget <= Self.largestTokenBudget else {
            throw ApusError(.invalidValue, "the token budget of a batch is \(tokenBudget), it must be at most \(Self.largestTokenBudget)")
        }
        self.tokenBudget = tokenBudget
        self.maxBatchSize = maxBatchSize
        self.maxQueuedTokens = maxQueuedTokens
    }
}
