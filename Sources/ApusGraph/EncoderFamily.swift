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
    /// Added to every layer's attention scores, `[1, heads, S, S]`; nil for families without it.
    func relativeBias(_ writer: inout GraphWriter) throws(ApusError) -> GraphWriter.Value?
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
        writer.embeddings(
            words: try tensor("embeddings.word_embeddings.weight"),
            positions: try tensor("embeddings.position_embeddings.weight"),
            types: encoder.typeVocabularySize > 0 ? try tensor("embeddings.token_type_embeddings.weight") : nil,
            try norm("embeddings.LayerNorm"), width: encoder.hiddenSize)
    }

    func relativeBias(_ writer: inout GraphWriter) throws(ApusError) -> GraphWriter.Value? { nil }

    func tensor(_ name: String) throws(ApusError) -> TensorView {
        guard let view = weights[name] else {
            throw ApusError(.invalidCheckpoint, "tensor '\(name)' is missing", place: "model.safetensors")
        }
        return view
    }

    func linear(_ name: String) throws(ApusError) -> GraphWriter.Linear {
        GraphWriter.Linear(weight: try tensor("\(name).weight"), bias: try tensor("\(name).bias"))
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

extension GraphWriter {
    struct Heads {
        var count: Int
        var size: Int
        var relativeBias: Value?
    }

    mutating func encoderLayer(
        _ x: Value, _ layer: EncoderLayer, _ heads: Heads, _ activation: Activation
    ) -> Value {
        let attended = attention(
            query: linear(x, layer.query), key: linear(x, layer.key), value: linear(x, layer.value),
            heads: heads.count, headSize: heads.size, relativeBias: heads.relativeBias)
        let normed = linearAddNorm(attended, layer.attentionOutput, residual: x, layer.attentionNorm)
        let expanded = self.activation(linear(normed, layer.expand), activation)
        return linearAddNorm(expanded, layer.contract, residual: normed, layer.outputNorm)
    }

    /// Sums word, position and (where there is one) token-type embeddings and normalises the sum: `[T, H]`.
    mutating func embeddings(
        words: TensorView, positions: TensorView, types: TensorView?, _ norm: Norm, width: Int
    ) -> Value {
        let rows: Value
        switch style {
        case .fused, .kernels:
            let typeInputs = types.map { (encoderInput(.tokenTypeIDs), weight($0)) } ?? (.none, .none)
            rows = apply(
                "EmbedLayerNormalization", domain: .microsoft,
                [
                    encoderInput(.inputIDs), typeInputs.0, weight(words), weight(positions), typeInputs.1,
                    weight(norm.weight), weight(norm.bias), .none, encoderInput(.positionIDs),
                ],
                ["epsilon": .float(norm.epsilon)], results: 2)
        case .plain:
            var sum = apply("Add", [
                apply("Gather", [weight(words), encoderInput(.inputIDs)]),
                apply("Gather", [weight(positions), encoderInput(.positionIDs)]),
            ])
            if let types { sum = apply("Add", [sum, apply("Gather", [weight(types), encoderInput(.tokenTypeIDs)])]) }
            rows = layerNorm(sum, norm)
        }
        return apply("Reshape", [rows, literal([-1, Int64(width)])])
    }
}
