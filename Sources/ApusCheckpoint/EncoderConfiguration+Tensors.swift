import ApusErrors
import ApusTensor

extension EncoderConfiguration {
    /// A tensor that the network reads.
    struct RequiredTensor {
        enum Role {
            /// Weights of a linear layer, `[out, in]`.
            case linear
            /// The embeddings of words. Those of positions and token types stay as they are: they are small, and token types
            /// reach every token with the same error (a cosine of 0.9997 for all-MiniLM-L6-v2 from them alone).
            case table
            /// What quantisation leaves as it is.
            case other
        }

        let name: String
        let shape: [Int]
        let role: Role

        init(name: String, shape: [Int], _ role: Role = .other) {
            self.name = name
            self.shape = shape
            self.role = role
        }
    }

    /// Refuses weights that lack a tensor of this architecture, or hold it in another shape or in a type that is not read.
    ///
    /// - Parameter quantization: what config.json says that linear layers and tables were quantised to.
    func validate(_ weights: WeightStore, quantization: Precision?, place: String) throws(ApusError) {
        for required in requiredTensors {
            guard let tensor = weights[required.name] else {
                throw ApusError(
                    .invalidCheckpoint, "tensor \(required.name.debugDescription) is missing", place: place,
                    advice: "Check that config.json belongs to these weights")
            }
            if let quantization, required.role != .other {
                try required.validate(tensor, weights, quantization)
                continue
            }
            guard tensor.shape == required.shape else {
                throw ApusError(
                    .invalidCheckpoint, "config.json asks for shape \(required.shape), the tensor has \(tensor.shape)", place: tensor.place)
            }
            guard TensorView.floatTypes.contains(tensor.elementType) else {
                throw ApusError(
                    .unsupportedModel, "weights of type \(tensor.elementType) are not supported", place: tensor.place,
                    advice: "Save the model as float32, float16 or bfloat16")
            }
        }
    }

    /// All tensors of the family, in the order in which the network reads them. Linear weights are `[out, in]`.
    var requiredTensors: [RequiredTensor] {
        let names = TensorNames(family)
        let width = hiddenSize
        var tensors = [
            RequiredTensor(name: "embeddings.word_embeddings.weight", shape: [vocabularySize, width], .table),
            RequiredTensor(name: "embeddings.position_embeddings.weight", shape: [maxPositions, width]),
        ]
        if typeVocabularySize > 0 {
            tensors.append(RequiredTensor(name: "embeddings.token_type_embeddings.weight", shape: [typeVocabularySize, width]))
        }
        tensors += norm("embeddings.LayerNorm")
        if let relativeAttentionBuckets {
            tensors.append(RequiredTensor(name: "encoder.relative_attention_bias.weight", shape: [relativeAttentionBuckets, heads]))
        }
        for layer in 0..<layers {
            let prefix = "\(names.layers).\(layer)."
            for name in names.attention { tensors += linear(prefix + name, from: width, to: width) }
            tensors += norm(prefix + names.attentionNorm)
            tensors += linear(prefix + names.expand, from: width, to: intermediateSize)
            tensors += linear(prefix + names.contract, from: intermediateSize, to: width)
            tensors += norm(prefix + names.outputNorm)
        }
        return tensors
    }

    private func linear(_ name: String, from input: Int, to output: Int) -> [RequiredTensor] {
        [RequiredTensor(name: name + ".weight", shape: [output, input], .linear), RequiredTensor(name: name + ".bias", shape: [output])]
    }

    private func norm(_ name: String) -> [RequiredTensor] {
        [RequiredTensor(name: name + ".weight", shape: [hiddenSize]), RequiredTensor(name: name + ".bias", shape: [hiddenSize])]
    }
}

/// The names that transformers gives to the parts of one layer.
private struct TensorNames {
    let layers: String
    let attention: [String]
    let attentionNorm: String
    let expand: String
    let contract: String
    let outputNorm: String

    init(_ family: EncoderConfiguration.Family) {
        switch family {
        case .bert, .roberta, .xlmRoberta:
            layers = "encoder.layer"
            attention = ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"]
            attentionNorm = "attention.output.LayerNorm"
            expand = "intermediate.dense"
            contract = "output.dense"
            outputNorm = "output.LayerNorm"
        case .distilBert:
            layers = "transformer.layer"
            attention = ["attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin"]
            attentionNorm = "sa_layer_norm"
            expand = "ffn.lin1"
            contract = "ffn.lin2"
            outputNorm = "output_layer_norm"
        case .mpnet:
            layers = "encoder.layer"
            attention = ["attention.attn.q", "attention.attn.k", "attention.attn.v", "attention.attn.o"]
            attentionNorm = "attention.LayerNorm"
            expand = "intermediate.dense"
            contract = "output.dense"
            outputNorm = "output.LayerNorm"
        }
    }
}
