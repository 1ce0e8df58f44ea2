import ApusErrors
import ApusJSON

// Values that a file leaves out are those that transformers' configuration classes take then. The bounds are far above any
// published encoder and keep all products of two of them within 64 bits.
extension EncoderConfiguration {
    /// Reads config.json.
    /// - Throws: `.unsupportedModel` for what transformers knows and Apus does not, `.invalidCheckpoint` for values out of range.
    init(_ reader: JSONReader) throws(ApusError) {
        let type = try reader.string("model_type")
        guard let family = Family(rawValue: type) else {
            let known = Family.allCases.map(\.rawValue).joined(separator: ", ")
            throw ApusError(
                .unsupportedModel, "model type \(type.debugDescription) is not supported", place: reader.place(of: "model_type"),
                advice: "Supported types are \(known); others can be exported to ONNX")
        }
        try Self.requireEncoder(reader)
        self.family = family

        let keys = Keys(family)
        let hiddenSize = try Self.positive(reader, keys.hiddenSize, or: 768, through: 1 << 16)
        let heads = try Self.positive(reader, keys.heads, or: 12, through: 1 << 12)
        guard hiddenSize % heads == 0 else {
            throw ApusError(
                .invalidCheckpoint, "\(heads) heads do not divide the hidden size \(hiddenSize)", place: reader.place(of: keys.heads))
        }
        self.hiddenSize = hiddenSize
        self.heads = heads
        layers = try Self.positive(reader, keys.layers, or: family == .distilBert ? 6 : 12, through: 1 << 10)
        intermediateSize = try Self.positive(reader, keys.intermediateSize, or: 3_072, through: 1 << 20)
        vocabularySize = try Self.positive(reader, "vocab_size", through: 1 << 24)

        let hasTypes = family != .distilBert && family != .mpnet
        typeVocabularySize = hasTypes ? try Self.positive(reader, "type_vocab_size", or: 2, through: 1 << 10) : 0
        layerNormEpsilon = try Self.epsilon(reader, family)
        activation = try Self.activation(reader, keys.activation)

        let padTokenID = try reader.optionalInteger("pad_token_id") ?? (hasTypes && family != .bert || family == .mpnet ? 1 : 0)
        guard (0..<vocabularySize).contains(padTokenID) else {
            throw ApusError(
                .invalidCheckpoint, "id \(padTokenID) is outside the vocabulary of \(vocabularySize)", place: reader.place(of: "pad_token_id"))
        }
        self.padTokenID = padTokenID
        maxPositions = try Self.positive(reader, "max_position_embeddings", or: 512, through: 1 << 20)
        relativeAttentionBuckets =
            family == .mpnet ? try Self.buckets(reader) : nil
        guard longestSequence > 0 else {
            throw ApusError(
                .invalidCheckpoint, "\(maxPositions) positions leave none beyond the padding's",
                place: reader.place(of: "max_position_embeddings"))
        }
    }

    private struct Keys {
        let hiddenSize: String
        let layers: String
        let heads: String
        let intermediateSize: String
        let activation: String

        init(_ family: Family) {
            let isDistilBert = family == .distilBert
            hiddenSize = isDistilBert ? "dim" : "hidden_size"
            layers = isDistilBert ? "n_layers" : "num_hidden_layers"
            heads = isDistilBert ? "n_heads" : "num_attention_heads"
            intermediateSize = isDistilBert ? "hidden_dim" : "intermediate_size"
            activation = isDistilBert ? "activation" : "hidden_act"
        }
    }

    private static func requireEncoder(_ reader: JSONReader) throws(ApusError) {
        for key in ["is_decoder", "add_cross_attention"] {
            guard try reader.optionalBool(key) == true else { continue }
            throw ApusError(.unsupportedModel, "decoders of this type are not supported", place: reader.place(of: key))
        }
        if let kind = try reader.optionalString("position_embedding_type"), kind != "absolute" {
            throw ApusError(
                .unsupportedModel, "position embeddings of type \(kind.debugDescription) are not supported, \"absolute\" ones are",
                place: reader.place(of: "position_embedding_type"))
        }
    }

    private static func positive(
        _ reader: JSONReader, _ key: String, or fallback: Int? = nil, through limit: Int
    ) throws(ApusError) -> Int {
        let value: Int
        if let fallback { value = try reader.optionalInteger(key) ?? fallback } else { value = try reader.integer(key) }
        guard (1...limit).contains(value) else {
            throw ApusError(.invalidCheckpoint, "\(value) is outside 1 … \(limit)", place: reader.place(of: key))
        }
        return value
    }

    private static func epsilon(_ reader: JSONReader, _ family: Family) throws(ApusError) -> Double {
        // DistilBERT's is fixed in its code.
        guard family != .distilBert, let value = try reader.optionalNumber("layer_norm_eps") else { return 1e-12 }
        guard value > 0, value < 1 else {
            throw ApusError(.invalidCheckpoint, "\(value) is outside 0 … 1", place: reader.place(of: "layer_norm_eps"))
        }
        return value
    }

    private static func activation(_ reader: JSONReader, _ key: String) throws(ApusError) -> Activation {
        let name = try reader.optionalString(key) ?? "gelu"
        guard let activation = Activation(transformersName: name) else {
            throw ApusError(.unsupportedModel, "activation \(name.debugDescription) is not supported", place: reader.place(of: key))
        }
        return activation
    }

    private static func buckets(_ reader: JSONReader) throws(ApusError) -> Int {
        let key = "relative_attention_num_buckets"
        let count = try positive(reader, key, or: 32, through: 1 << 12)
        // Half of them for each direction, and half of those for exact distances.
        guard count % 4 == 0 else {
            throw ApusError(.invalidCheckpoint, "\(count) is not a multiple of 4", place: reader.place(of: key))
        }
        return count
    }
}
