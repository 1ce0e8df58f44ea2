package import ApusErrors

/// What a plan has to know of a model: what its parts weigh and cost, and what they can be divided by.
package struct NetworkOutline: Sendable, Equatable {
    package struct Layer: Sendable, Equatable {
        /// Bytes of weights that the ranks of a tensor-parallel group share among them: matrices and the biases of their rows.
        package var shardedBytes: Int
        /// Bytes of weights that every rank holds: norms, biases that are added after the sum over ranks.
        package var replicatedBytes: Int
        /// In ``NetworkOutline/costUnit``.
        package var cost: Double

        package init(shardedBytes: Int, replicatedBytes: Int = 0, cost: Double) {
            self.shardedBytes = shardedBytes
            self.replicatedBytes = replicatedBytes
            self.cost = cost
        }

        /// Bytes that one of `ranks` ranks holds.
        func bytes(ofOneIn ranks: Int) -> Int {
            let (share, rest) = shardedBytes.quotientAndRemainder(dividingBy: max(1, ranks))
            return (share + (rest > 0 ? 1 : 0)).addingClamped(replicatedBytes)
        }
    }

    /// What ``Layer/cost`` counts. Plans compare costs with each other only.
    package enum CostUnit: String, Sendable, CaseIterable {
        /// Floating-point operations a token, by arithmetic.
        case operationsPerToken = "flops_per_token"
        /// Seconds a token on a device of speed 1, measured.
        case secondsPerToken = "seconds_per_token"
    }

    /// The sizes that shards divide, and those that activations follow from.
    package struct Widths: Sendable, Equatable {
        /// Attention heads; nil for networks that are not sharded.
        package var heads: Int?
        /// Heads of keys and values where they are fewer than ``heads``.
        package var keyValueHeads: Int?
        /// Columns between the two matrices of the feed-forward part; nil for networks that are not sharded.
        package var feedForward: Int?
        /// Elements of a token's state.
        package var hidden: Int

        package init(heads: Int? = nil, keyValueHeads: Int? = nil, feedForward: Int? = nil, hidden: Int) {
            self.heads = heads
            self.keyValueHeads = keyValueHeads
            self.feedForward = feedForward
            self.hidden = hidden
        }
    }

    /// A part before or behind the layers, which is never divided.
    package struct Part: Sendable, Equatable {
        package var bytes: Int
        /// In ``NetworkOutline/costUnit``.
        package var cost: Double

        package init(bytes: Int = 0, cost: Double = 0) {
            self.bytes = bytes
            self.cost = cost
        }
    }

    package let name: String
    /// In the order in which they run; never empty.
    package let layers: [Layer]
    /// The tables in front of the first layer.
    package let embedding: Part
    /// What follows the last layer: pooling and the modules behind it.
    package let head: Part
    package let widths: Widths
    /// Bytes that a step computes in for each of its tokens.
    package let activationBytesPerToken: Int
    package let costUnit: CostUnit
    /// The tensors between the layers of a network that came as a file, which is cut behind them; empty for others.
    package let cutTensors: [String]

    /// Throws `invalid_value` for a model without layers, for figures below zero or not finite, and for weights of more bytes than can be counted.
    package init(
        name: String, layers: [Layer], embedding: Part = Part(), head: Part = Part(), widths: Widths, activationBytesPerToken: Int = 0,
        costUnit: CostUnit = .operationsPerToken, cutTensors: [String] = []
    ) throws(ApusError) {
        func refuse(_ what: String) -> ApusError { ApusError(.invalidValue, what, place: name) }
        guard !layers.isEmpty else { throw refuse("a model without layers cannot be planned") }
        guard cutTensors.isEmpty || cutTensors.count == layers.count - 1 else {
            throw refuse("\(cutTensors.count) tensors do not part \(layers.count) layers")
        }
        var total = 0
        for bytes in layers.flatMap({ [$0.shardedBytes, $0.replicatedBytes] }) + [embedding.bytes, head.bytes, activationBytesPerToken] {
            let (sum, overflow) = total.addingReportingOverflow(bytes)
            guard bytes >= 0, !overflow else { throw refuse("\(bytes) bytes of a part cannot be planned with") }
            total = sum
        }
        for cost in layers.map(\.cost) + [embedding.cost, head.cost] where !(cost >= 0 && cost.isFinite) {
            throw refuse("a cost of \(cost) cannot be planned with")
        }
        for width in [widths.heads, widths.keyValueHeads, widths.feedForward, widths.hidden] {
            if let width, width < 1 { throw refuse("a width of \(width) cannot be planned with") }
        }
        self.name = name
        self.layers = layers
        self.embedding = embedding
        self.head = head
        self.widths = widths
        self.activationBytesPerToken = activationBytesPerToken
        self.costUnit = costUnit
        self.cutTensors = cutTensors
    }

    /// Bytes of the weights of all layers, without what stands before and behind them.
    package var layerBytes: Int { layers.reduce(0) { $0.addingClamped($1.bytes(ofOneIn: 1)) } }

    /// Bytes of all weights.
    package var weightBytes: Int { embedding.bytes.addingClamped(head.bytes).addingClamped(layerBytes) }

    /// Bytes of activations of a step of `tokens` tokens.
    func activationBytes(tokens: Int) -> Int {
        let (bytes, overflow) = activationBytesPerToken.multipliedReportingOverflow(by: max(0, tokens))
        return overflow ? .max : bytes
    }
}

extension Int {
    /// The sum, or the largest number where there is none: more bytes than any device has.
    func addingClamped(_ other: Int) -> Int {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
