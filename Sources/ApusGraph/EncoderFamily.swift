import ApusCheckpoint
import ApusErrors
import ApusExecution

/// What distinguishes one encoder architecture from another: which tensors its checkpoints hold under which names, and how
/// tokens become the first hidden state.
protocol EncoderFamily {
    var encoder: EncoderConfiguration { get }
    var weights: WeightStore { get }

    /// The normalised sum of the embeddings, `[T, H]`.
    func embeddings(_ writer: inout GraphWriter) throws(ApusError) -> GraphWriter.Value
    /// Added to every layer's attention scores, `[1, heads, S, S]` for the heads of these numbers; nil for families without it.
    func relativeBias(_ writer: inout GraphWriter, heads: Range<Int>) throws(ApusError) -> GraphWriter.Value?
    func layer(_ index: Int) throws(ApusError) -> EncoderLayer
}

/// The parameters of one post-norm transformer layer.
struct EncoderLayer {
    var query: GraphWriter.Linear
    var key: GraphWriter.Linear
    var value: GraphWriter.Linear
    var attentionOutput: GraphWriter.Linear
    var attentionNorm: GraphWriter.Norm
    var expand: GraphWriter.Linear
    var contract: GraphWriter.Linear
    var outputNorm: GraphWriter.Norm
}

extension EncoderFamily {
    func embeddings(_ writer: inout GraphWriter) throws(ApusError) -> GraphWriter.Value {
        try writer.embeddings(
            GraphWriter.Tables(
                words: try matrix("embeddings.word_embeddings.weight"),
                positions: try matrix("embeddings.position_embeddings.weight"),
                types: encoder.typeVocabularySize > 0 ? try matrix("embeddings.token_type_embeddings.weight") : nil,
                norm: try norm("embeddings.LayerNorm")))
    }

    func relativeBias(_ writer: inout GraphWriter, heads: Range<Int>) throws(ApusError) -> GraphWriter.Value? { nil }

    func tensor(_ name: String) throws(ApusError) -> TensorView {
        guard let view = weights[name] else {
            throw ApusError(.invalidCheckpoint, "tensor '\(name)' is missing", place: "model.safetensors")
        }
        return view
    }

    func matrix(_ name: String) throws(ApusError) -> WeightMatrix {
        guard let matrix = try weights.matrix(name) else {
            throw ApusError(.invalidCheckpoint, "tensor '\(name)' is missing", place: "model.safetensors")
        }
        return matrix
    }

    func linear(_ name: String) throws(ApusError) -> GraphWriter.Linear {
        GraphWriter.Linear(weight: try matrix("\(name).weight"), bias: try tensor("\(name).bias"))
    }

    func norm(_ name: String) throws(ApusError) -> GraphWriter.Norm {
        GraphWriter.Norm(
            weight: try tensor("\(name).weight"), bias: try tensor("\(name).bias"), epsilon: Float(encoder.layerNormEpsilon))
    }

    /// The layer names that BERT's direct descendants share.
    func bertLayer(_ index: Int) throws(ApusError) -> EncoderLayer {
        let layer = "encoder.layer.\(index)"
        return EncoderLayer(
            query: try linear("\(layer).attention.self.query"),
            key: try linear("\(layer).attention.self.key"),
            value: try linear("\(layer).attention.self.value"),
            attentionOutput: try linear("\(layer).attention.output.dense"),
            attentionNorm: try norm("\(layer).attention.output.LayerNorm"),
            expand: try linear("\(layer).intermediate.dense"),
            contract: try linear("\(layer).output.dense"),
            outputNorm: try norm("\(layer).output.LayerNorm"))
    }
}
