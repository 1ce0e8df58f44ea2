/// What one batch may become.
struct BatchBounds: Sendable {
    var tokenBudget: Int
    /// Tokens when every sequence is padded to the longest.
    var paddedBudget: Int
    var maxCount: Int
    /// Tokens of padding.
    var maxPadding = Int.max
    /// A time that the batch is predicted to stay within.
    var time: (seconds: Double, cost: CostModel)?
}

/// A batch while sequences are added to it. The first always fits.
struct GrowingBatch: Sendable {
    private(set) var ids: [Int] = []
    private(set) var shape = BatchShape()
    private(set) var longest = 0
    let bounds: BatchBounds

    init(_ bounds: BatchBounds) {
        self.bounds = bounds
    }

    var isFull: Bool { shape.count >= bounds.maxCount || shape.tokens >= bounds.tokenBudget }

    func fits(_ tokens: Int) -> Bool {
        guard shape.count > 0 else { return true }
        guard shape.count < bounds.maxCount, tokens <= bounds.tokenBudget - shape.tokens,
            max(longest, tokens) <= bounds.paddedBudget / (shape.count + 1)
        else { return false }
        var next = shape
        next.add(tokens, longest: longest)
        guard next.padding <= bounds.maxPadding else { return false }
        return bounds.time.map { $0.cost.seconds(next) <= $0.seconds } ?? true
    }

    /// Tokens of padding that a sequence would add.
    func padding(of tokens: Int) -> Int {
        tokens > longest ? (tokens - longest).saturatingMultiply(shape.count) : longest - tokens
    }

    mutating func add(_ item: BatchPlanner.Item) {
        shape.add(item.tokens, longest: longest)
        longest = max(longest, item.tokens)
        ids.append(item.id)
    }
}
