/// What is known about a device from the batches that it ran. Outlives its lanes.
struct DeviceAccount: Sendable {
    private(set) var cost = CostModel()
    private(set) var controller: SizeController?
    /// Padded tokens that a batch must not exceed, learned from running out of memory.
    var ceiling: Int?
    /// Tokens of a batch when its size is not adaptive.
    private(set) var most: Int
    /// Averages over batches: tokens of a sequence, and the length that a token is part of.
    private var length: Double?
    private var tokenLength: Double?

    init(most: Int, target: Double?) {
        self.most = most
        controller = target.map { SizeController(target: $0, most: most) }
    }

    /// Tokens that a batch may hold now.
    var budget: Int { controller?.budget ?? most }

    mutating func setMost(_ most: Int) {
        self.most = most
        controller?.setMost(most)
    }

    mutating func record(_ outcome: BatchPlanner.Outcome, inFlight: Int) {
        guard outcome.nanoseconds > 0, outcome.shape.count > 0, outcome.shape.tokens > 0 else { return }
        cost.observe(outcome.shape, seconds: Double(outcome.nanoseconds) * 1e-9)
        let tokens = Double(outcome.shape.tokens)
        let mean = tokens / Double(outcome.shape.count)
        let squares = outcome.shape.squares / tokens
        length = length.map { $0 * 0.95 + mean * 0.05 } ?? mean
        tokenLength = tokenLength.map { $0 * 0.95 + squares * 0.05 } ?? squares
        controller?.record(outcome.shape, nanoseconds: outcome.nanoseconds, latencies: outcome.latencies, inFlight: inFlight)
    }

    /// Seconds per token of a full batch of what usually comes; nil before the first batch.
    func secondsPerToken(maxCount: Int) -> Double? {
        guard cost.observations > 0, let length, let tokenLength else { return nil }
        let tokens = max(1, min(Double(budget), Double(maxCount) * length))
        let shape = BatchShape(
            count: max(1, Int(exactly: (tokens / length).rounded()) ?? maxCount), tokens: Int(exactly: tokens.rounded()) ?? budget,
            squares: tokens * tokenLength)
        let seconds = cost.seconds(shape) / tokens
        return seconds > 0 ? seconds : nil
    }
}
