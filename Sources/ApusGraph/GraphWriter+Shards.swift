import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusTensor

/// Layers of which one rank of a tensor-parallel group computes its share (Shoeybi et al. 2019, Megatron-LM): some attention heads and some
/// of the columns between the two feed-forward layers. What the ranks have computed is added up twice a layer.
extension GraphWriter {
    struct Shard {
        var heads: Range<Int>
        /// Columns of the hidden state that belong to ``heads``.
        var attended: Range<Int>
        /// Columns between the feed-forward layers.
        var expanded: Range<Int>
        var slice: NetworkSlice
    }

    /// - Parameter heads: those of the shard.
    mutating func shardedLayer(
        _ x: Value, _ layer: EncoderLayer, _ heads: Heads, _ activation: Activation, _ shard: Shard
    ) throws(ApusError) -> Value {
        let attended = attention(
            query: try linear(x, try layer.query.outputs(shard.attended)), key: try linear(x, try layer.key.outputs(shard.attended)),
            value: try linear(x, try layer.value.outputs(shard.attended)), heads)
        let mixed = try summedLinear(attended, layer.attentionOutput, inputs: shard.attended, shard.slice)
        let normed = layerNorm(apply("Add", [mixed, x]), layer.attentionNorm)
        let expanded = self.activation(try linear(normed, try layer.expand.outputs(shard.expanded)), activation)
        let contracted = try summedLinear(expanded, layer.contract, inputs: shard.expanded, shard.slice)
        return layerNorm(apply("Add", [contracted, normed]), layer.outputNorm)
    }

    /// A linear layer of whose inputs each rank has some, `x`: `[T, inputs]` to `[T, out]`, the same on all ranks.
    private mutating func summedLinear(
        _ x: Value, _ layer: Linear, inputs: Range<Int>, _ slice: NetworkSlice
    ) throws(ApusError) -> Value {
        let partial = gemm(x, try columns(inputs, of: layer.weight), nil)
        let sum = apply(
            "AllReduce", domain: .apus, [partial],
            ["group": .string(slice.group), "rank": .int(Int64(slice.rank)), "ranks": .int(Int64(slice.ranks))])
        guard let bias = layer.bias else { return sum }
        return apply("Add", [sum, weight(bias)])
    }

    /// Some columns of a matrix in the type of activations, `[rows, range]`.
    mutating func columns(_ range: Range<Int>, of matrix: WeightMatrix) throws(ApusError) -> Value {
        guard range != 0..<matrix.columns else { return try self.matrix(matrix) }
        let type: ElementType
        if case .floats(let view) = matrix.storage { type = view.elementType } else { type = .float32 }
        let name = "\(matrix.name)[,\(range.lowerBound)..<\(range.upperBound)]"
        let value = try constant(name, type, [matrix.rows, range.count]) { () throws(ApusError) in
            // Owned by the engine, which packs it for its products and lets go of it: a copy kept here would stay beside the packed one.
            .owned(try PackedWeights.columns(range, of: matrix))
        }
        return inActivationType(value, from: type)
    }
}

extension GraphWriter.Linear {
    /// The layer with some of its outputs.
    fileprivate func outputs(_ range: Range<Int>) throws(ApusError) -> GraphWriter.Linear {
        var part: TensorView?
        if let bias { part = try bias.part(range) }
        return GraphWriter.Linear(weight: try weight.rows(range), bias: part)
    }
}

extension EncoderConfiguration {
    /// What a slice's rank computes of each layer; nil when it computes all.
    /// - Throws: `unsupported_plan` for a slice of another network, a form that is not sharded, and ranks that heads or columns do not
    ///   divide among.
    func shard(_ slice: NetworkSlice, _ form: NetworkForm) throws(ApusError) -> GraphWriter.Shard? {
        guard slice.layerCount == layers else {
            throw ApusError(.unsupportedPlan, "a slice of \(slice.layerCount) layers does not fit a network of \(layers)", place: "layers")
        }
        let ranks = slice.ranks
        guard ranks > 1 else { return nil }
        guard form.isSharded else {
            throw ApusError(
                .unsupportedPlan, "graphs of the form \(form) are not shared by ranks", place: "ranks",
                advice: "Choose the precision fp32, on accelerators also fp16 or bf16")
        }
        guard heads % ranks == 0, intermediateSize % ranks == 0 else {
            throw ApusError(
                .unsupportedPlan,
                "\(ranks) ranks cannot share \(heads) heads and \(intermediateSize) columns: \(heads) mod \(ranks) is \(heads % ranks), "
                    + "\(intermediateSize) mod \(ranks) is \(intermediateSize % ranks)",
                place: "ranks", advice: "The nearest number of ranks that works is \(nearestRanks(to: ranks))")
        }
        let (ownHeads, columns) = (heads / ranks, intermediateSize / ranks)
        let range = (slice.rank * ownHeads)..<((slice.rank + 1) * ownHeads)
        return GraphWriter.Shard(
            heads: range, attended: (range.lowerBound * headSize)..<(range.upperBound * headSize),
            expanded: (slice.rank * columns)..<((slice.rank + 1) * columns), slice: slice)
    }

    /// The number of ranks nearest to `wished` that heads and columns divide among; of two the smaller.
    private func nearestRanks(to wished: Int) -> Int {
        let possible = (1...heads).filter { heads % $0 == 0 && intermediateSize % $0 == 0 }
        return possible.min { abs($0 - wished) < abs($1 - wished) } ?? 1
    }
}

extension NetworkForm {
    /// Whether graphs of this form can be shared by ranks: blocks of quantised weights and packed ones are not cut.
    fileprivate var isSharded: Bool { style != .kernels && !hasBlockWeights }
}
