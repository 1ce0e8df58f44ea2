package import ApusErrors

/// A part of an encoder: some of its layers (a stage), and of these what one rank of a tensor-parallel group computes (a shard).
///
/// Embeddings and head are computed by every rank alike; the group's answer is that of rank 0.
package struct NetworkSlice: Sendable, Hashable {
    /// Of the encoder's layers; empty only for a network without layers.
    package let layers: Range<Int>
    /// Layers of the whole network.
    package let layerCount: Int
    /// Which of the group's shards: `0 ..< ranks`.
    package let rank: Int
    /// Shards in the group; 1 for an undivided stage.
    package let ranks: Int
    /// Names the group in which ranks add up what they computed, one for each model that a process holds. No other group may have it.
    package let group: String

    /// - Throws: `unsupported_plan` for layers that the network does not have, none of them, or a rank outside the group.
    package init(
        layers: Range<Int>, layerCount: Int, rank: Int = 0, ranks: Int = 1, group: String = ""
    ) throws(ApusError) {
        guard layers.lowerBound >= 0, layers.upperBound <= layerCount, !layers.isEmpty || layerCount == 0 else {
            throw ApusError(
                .unsupportedPlan, "layers \(layers.lowerBound) to \(layers.upperBound) are no part of a network of \(layerCount)",
                place: "layers")
        }
        guard ranks >= 1, (0..<ranks).contains(rank) else {
            throw ApusError(.unsupportedPlan, "there is no rank \(rank) in a group of \(ranks)", place: "ranks")
        }
        self.init(known: layers, layerCount, rank, ranks, group)
    }

    private init(known layers: Range<Int>, _ layerCount: Int, _ rank: Int, _ ranks: Int, _ group: String) {
        self.layers = layers
        self.layerCount = layerCount
        self.rank = rank
        self.ranks = ranks
        self.group = group
    }

    /// The input of a slice without embeddings: the states of the batch's tokens in the packed order, `[T, H]` fp32.
    package static let hiddenInput = "hidden"
    /// The output of a slice without head, `[T, H]` fp32. Another name, because one graph may have both.
    package static let hiddenOutput = "hidden_out"

    /// All of a network of `layerCount` layers; a negative number counts as none.
    package static func whole(layerCount: Int) -> NetworkSlice {
        NetworkSlice(known: 0..<max(0, layerCount), max(0, layerCount), 0, 1, "")
    }

    /// Whether the slice begins with the tokens; otherwise it begins with hidden states.
    package var hasEmbeddings: Bool { layers.lowerBound == 0 }
    /// Whether the slice ends with vectors, pooling and the modules behind it included; otherwise it ends with hidden states.
    package var hasHead: Bool { layers.upperBound == layerCount }
}

extension NetworkSlice: CustomStringConvertible {
    /// `layers 0..<3 of 6, rank 1 of 2`
    package var description: String {
        "layers \(layers.lowerBound)..<\(layers.upperBound) of \(layerCount)" + (ranks > 1 ? ", rank \(rank) of \(ranks)" : "")
    }
}
