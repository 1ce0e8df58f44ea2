package import ApusCheckpoint
package import ApusErrors
package import ApusExecution
import ApusTensor

/// Describes sentence encoders: packed tokens in, one vector for each sequence out.
package enum EncoderGraph {
    /// The name of the result, `[B, D]` fp32.
    package static let output = "embeddings"
    /// What a slice without embeddings begins with: the states of the batch's tokens in the packed order, `[T, H]` fp32.
    package static let hiddenInput = NetworkSlice.hiddenInput
    /// What a slice without head ends with, `[T, H]` fp32. Another name, because one graph may have both.
    package static let hiddenOutput = NetworkSlice.hiddenOutput

    /// The network of a checkpoint, pooling and the modules after it included, or a slice of it, which reads no other weights than its own.
    ///
    /// Throws `unsupported_model` for an architecture or a head size that the operators cannot run, and `unsupported_plan` for a slice that
    /// this network cannot be cut into.
    package static func describe(
        _ encoder: EncoderConfiguration, _ weights: WeightStore, _ modules: [SentenceModule], form: NetworkForm,
        slice: NetworkSlice? = nil
    ) throws(ApusError) -> GraphDescription {
        guard encoder.headSize % 8 == 0 else {
            throw ApusError(
                .unsupportedModel, "attention heads of \(encoder.headSize) elements are not supported, multiples of 8 are",
                place: "config.json")
        }
        if let buckets = encoder.relativeAttentionBuckets, buckets > RelativeBuckets.largestCount {
            throw ApusError(
                .unsupportedModel, "\(buckets) buckets of relative positions are not supported, up to \(RelativeBuckets.largestCount) are",
                place: "config.json: relative_attention_num_buckets")
        }
        let slice = slice ?? .whole(layerCount: encoder.layers)
        let shard = try encoder.shard(slice, form)
        var writer = GraphWriter(form)
        let family = family(encoder, weights)
        writer.part = .embedding
        var hidden =
            slice.hasEmbeddings ? try family.embeddings(&writer) : writer.hiddenStates(width: encoder.hiddenSize)
        if !slice.layers.isEmpty {
            let bias = try family.relativeBias(&writer, heads: shard?.heads ?? 0..<encoder.heads)
            let heads = GraphWriter.Heads(count: shard?.heads.count ?? encoder.heads, size: encoder.headSize, relativeBias: bias)
            writer.part = .layers
            for index in slice.layers {
                let layer = try family.layer(index)
                hidden =
                    if let shard {
                        try writer.shardedLayer(hidden, layer, heads, encoder.activation, shard)
                    } else {
                        try writer.encoderLayer(hidden, layer, heads, encoder.activation)
                    }
            }
        }
        let widened = writer.widened(hidden)
        if slice.hasHead {
            try writer.sentenceModules(widened, width: encoder.hiddenSize, modules)
        } else {
            writer.output(widened, named: hiddenOutput, .float32, [.symbolic("T"), .fixed(encoder.hiddenSize)])
        }
        return writer.graph
    }

    static func family(_ encoder: EncoderConfiguration, _ weights: WeightStore) -> any EncoderFamily {
        switch encoder.family {
        case .bert, .roberta, .xlmRoberta: BERTFamily(encoder: encoder, weights: weights)
        case .distilBert: DistilBERTFamily(encoder: encoder, weights: weights)
        case .mpnet: MPNetFamily(encoder: encoder, weights: weights)
        }
    }

    /// What the family's inputs count from.
    package static func conventions(_ encoder: EncoderConfiguration) -> EncoderConventions {
        EncoderConventions(
            positionOffset: Int32(clamping: encoder.positionOffset),
            relativeBuckets: RelativeBuckets(count: encoder.relativeAttentionBuckets ?? 32))
    }
}
