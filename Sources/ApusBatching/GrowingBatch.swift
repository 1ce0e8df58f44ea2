/// What one batch may become.
struct BatchBounds: Sendable {
    var tokenBudget: Int
    /// Tokens when every sequence is padded to the longest.
    var paddedBudget: Int
    var maxCount: Int
    /// Whether padding is computed. Where it is not, the batch has none.
    var pads = true
    /// Tokens behind the seed from which sequences may overtake for their length.
    var window = Int.max
    /// Tokens of padding.
    var maxPadding = Int.max
    /// A time that the batch is predicted to stay within.
    var time: (seconds: Double, cost: CostModel)?

    /// Padding that a batch takes on while much waits, as a part of its budget.
    private static let paddingPart = 0.03

    /// Padding that is worth having a batch fuller when so many tokens wait. The more waits, the choosier: what does not fit this batch well
    /// will fit another.
    func padding(waiting tokens: Int) -> Int {
        let backlog = Double(tokens) / Double(tokenBudget)
        guard pads, backlog > 1 else { return .max }
        return max(leastPadding, Int(exactly: (Double(tokenBudget) / (backlog * backlog)).rounded()) ?? tokenBudget)
    }

    var leastPadding: Int { Int(exactly: (Double(tokenBudget) * Self.paddingPart).rounded(.up)) ?? tokenBudget }
}

/// A batch while sequences are added to it. The first always fits.
struct GrowingBatch: Sendable {
    private(set) var ids: [Int] = []
    private(set) var shape = BatchShape()
    private(set) var longest = 0
    private(set) var bounds: BatchBounds

    init(_ bounds: BatchBounds) {
        self.bounds = bounds
    }

    var isFull: Bool { shape.count >= bounds.maxCount || shape.tokens >= bounds.tokenBudget }

    func fits(_ tokens: Int) -> Bool {
        guard shape.count > 0 else { return true }
        guard shape.count < bounds.maxCount, tokens <= bounds.tokenBudget - shape.tokens,
            max(longest, tokens) <= bounds.paddedBudget / (shape.count + 1)
        else { return false }
        let next = adding(tokens)
        guard next.padding <= bounds.maxPadding else { return false }
        return bounds.time.map { $0.cost.seconds(next) <= $0.seconds } ?? true
    }

    private func adding(_ tokens: Int) -> BatchShape {
        var next = shape
        next.add(tokens, longest: longest)
        if !bounds.pads { next.padding = 0 }
        return next
    }

    /// From now on so much padding may be added to what there is.
    mutating func allow(padding: Int) {
        bounds.maxPadding = shape.padding.saturatingAdd(padding)
    }

    /// Tokens of padding that a sequence would add.
    func padding(of tokens: Int) -> Int {
        tokens > longest ? (tokens - longest).saturatingMultiply(shape.count) : longest - tokens
    }

    mutating func add(_ item: BatchPlanner.Item) {
        shape = adding(item.tokens)
        longest = max(longest, item.tokens)
        ids.append(item.id)
    }
}
