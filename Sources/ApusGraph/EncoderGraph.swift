package import ApusCheckpoint
package import ApusErrors
package import ApusExecution

/// Describes sentence encoders: packed tokens in, one vector for each sequence out.
package enum EncoderGraph {
    /// The name of the result, `[B, D]` fp32.
    package static let output = "embeddings"

    /// The whole network of a checkpoint, pooling and the modules after it included.
    ///
    /// Throws `unsupported_model` for an architecture or a head size that the operators cannot run.
    package static func describe(
        _ encoder: EncoderConfiguration, _ weights: WeightStore, _ modules: [SentenceModule], form: NetworkForm
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
        var writer = GraphWriter(form)
        let family: any EncoderFamily =
            switch encoder.family {
            case .bert, .roberta, .xlmRoberta: BERTFamily(encoder: encoder, weights: weights)
            case .distilBert: DistilBERTFamily(encoder: encoder, weights: weights)
            case .mpnet: MPNetFamily(encoder: encoder, weights: weights)
            }
        let embedded = try family.embeddings(&writer)
        let bias = try family.relativeBias(&writer)
        let heads = GraphWriter.Heads(count: encoder.heads, size: encoder.headSize, relativeBias: bias)
        var hidden = embedded
        for index in 0..<encoder.layers {
            hidden = try writer.encoderLayer(hidden, try family.layer(index), heads, encoder.activation)
        }
        try writer.sentenceModules(writer.widened(hidden), width: encoder.hiddenSize, modules)
        return writer.graph
    }

    /// What the family's inputs count from.
    package static func conventions(_ encoder: EncoderConfiguration) -> EncoderConventions {
        EncoderConventions(
            positionOffset: Int32(clamping: encoder.positionOffset),
            relativeBuckets: RelativeBuckets(count: encoder.relativeAttentionBuckets ?? 32))
    }
}
