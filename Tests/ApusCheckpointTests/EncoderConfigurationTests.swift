import ApusCheckpoint
import ApusErrors
import Testing

struct EncoderConfigurationTests {
    private func load(_ model: TinyModel, _ change: (TemporaryDirectory) throws -> Void = { _ in }) throws -> Checkpoint {
        let directory = try TemporaryDirectory()
        try model.write(to: directory)
        try change(directory)
        return try Checkpoint(directory: directory.path)
    }

    private func configuration(_ model: TinyModel) throws -> EncoderConfiguration {
        guard case .encoder(let configuration, _) = try load(model).source else {
            throw ApusError(.invalidCheckpoint, "an encoder is wanted")
        }
        return configuration
    }

    @Test(arguments: [
        ("bert", EncoderConfiguration.Family.bert, 0, 2, 10), ("roberta", .roberta, 2, 2, 8), ("xlm-roberta", .xlmRoberta, 2, 2, 8),
        ("distilbert", .distilBert, 0, 0, 10), ("mpnet", .mpnet, 2, 0, 8),
    ])
    func `every family is read with its own names, offsets and tables`(
        _ row: (type: String, family: EncoderConfiguration.Family, offset: Int, types: Int, maxTokens: Int)
    ) throws {
        let configuration = try configuration(TinyModel(type: row.type))
        #expect(configuration.family == row.family)
        #expect(configuration.hiddenSize == 8)
        #expect(configuration.heads == 2)
        #expect(configuration.headSize == 4)
        #expect(configuration.layers == 1)
        #expect(configuration.intermediateSize == 12)
        #expect(configuration.vocabularySize == 20)
        #expect(configuration.maxPositions == 10)
        #expect(configuration.typeVocabularySize == row.types)
        #expect(configuration.positionOffset == row.offset)
        #expect(configuration.layerNormEpsilon == (row.type == "distilbert" ? 1e-12 : 1e-5))
        #expect(configuration.relativeAttentionBuckets == (row.type == "mpnet" ? 32 : nil))
        #expect(try load(TinyModel(type: row.type)).maxTokens == row.maxTokens)
        #expect(try load(TinyModel(type: row.type)).dimensions == 8)
    }

    @Test(arguments: [
        ("gelu", Activation.gelu), ("gelu_new", .geluTanh), ("gelu_pytorch_tanh", .geluTanh), ("relu", .relu), ("silu", .silu), ("swish", .silu),
        ("tanh", .tanh),
    ])
    func `activations are known by transformers' names`(_ row: (name: String, activation: Activation)) throws {
        let model = TinyModel(type: "bert", overrides: ["hidden_act": "\"\(row.name)\""])
        #expect(try configuration(model).activation == row.activation)
    }

    @Test(arguments: [
        ("model_type", "\"modernbert\""), ("hidden_act", "\"quick_gelu\""), ("is_decoder", "true"), ("add_cross_attention", "true"),
        ("position_embedding_type", "\"relative_key\""),
    ])
    func `what Apus cannot run is named as unsupported`(_ row: (key: String, value: String)) throws {
        let error = #expect(throws: ApusError.self) { try load(TinyModel(type: "bert", overrides: [row.key: row.value])) }
        #expect(error?.code == .unsupportedModel)
        #expect(error?.place?.hasSuffix("config.json: \(row.key)") == true)
    }

    @Test(arguments: [
        ("hidden_size", "0"), ("hidden_size", "-8"), ("hidden_size", "8.5"), ("hidden_size", "\"8\""), ("hidden_size", "9223372036854775807"),
        ("num_attention_heads", "0"), ("num_attention_heads", "3"), ("num_attention_heads", "16"), ("num_hidden_layers", "0"),
        ("num_hidden_layers", "1e9"), ("intermediate_size", "-1"), ("vocab_size", "null"), ("vocab_size", "0"), ("vocab_size", "1e18"),
        ("max_position_embeddings", "0"), ("type_vocab_size", "0"), ("layer_norm_eps", "0"), ("layer_norm_eps", "-1"), ("layer_norm_eps", "1e300"),
        ("pad_token_id", "20"), ("pad_token_id", "-1"), ("model_type", "null"), ("is_decoder", "\"yes\""),
    ])
    func `values out of range are refused by their key`(_ row: (key: String, value: String)) throws {
        let error = #expect(throws: ApusError.self) { try load(TinyModel(type: "bert", overrides: [row.key: row.value])) }
        #expect(error?.code == .invalidCheckpoint)
        #expect(error?.place?.hasSuffix("config.json: \(row.key)") == true)
    }

    @Test(arguments: [("roberta", "2"), ("mpnet", "2")])
    func `positions must be left beyond the padding's`(_ row: (type: String, positions: String)) {
        let model = TinyModel(type: row.type, overrides: ["max_position_embeddings": row.positions])
        let error = #expect(throws: ApusError.self) { try load(model) }
        #expect(error?.place?.hasSuffix("max_position_embeddings") == true)
    }

    @Test(arguments: ["0", "30", "6"])
    func `bucket counts that cannot be halved twice are refused`(_ count: String) {
        let model = TinyModel(type: "mpnet", overrides: ["relative_attention_num_buckets": count])
        #expect(throws: ApusError.self) { try load(model) }
    }

    @Test(arguments: TinyModel.types)
    func `any prefix before the tensors' names is found`(_ type: String) throws {
        for prefix in ["bert.", "roberta.", "distilbert.", "mpnet.", "model.encoder."] {
            guard case .encoder(_, let weights) = try load(TinyModel(type: type, prefix: prefix)).source else {
                Issue.record("an encoder is wanted")
                return
            }
            #expect(weights["embeddings.word_embeddings.weight"]?.shape == [20, 8])
        }
    }

    @Test func `the names gamma and beta of old checkpoints are understood`() throws {
        var tensors = TinyModel(type: "bert", prefix: "bert.").tensors
        for index in tensors.indices where tensors[index].name.contains("LayerNorm") {
            tensors[index].name = tensors[index].name.replacing("LayerNorm.weight", with: "LayerNorm.gamma")
                .replacing("LayerNorm.bias", with: "LayerNorm.beta")
        }
        _ = try load(TinyModel(type: "bert")) { try $0.write("model.safetensors", TinyWeights.file(tensors)) }
    }

    @Test(arguments: TinyModel.types)
    func `each missing, misshapen or mistyped tensor is named`(_ type: String) throws {
        let model = TinyModel(type: type)
        for (index, tensor) in model.tensors.enumerated() where !tensor.name.hasPrefix("pooler") {
            var missing = model.tensors
            missing.remove(at: index)
            var misshapen = model.tensors
            misshapen[index].shape[0] += 1
            var mistyped = model.tensors
            mistyped[index].type = "I16"
            for (tensors, code) in [(missing, ApusError.Code.invalidCheckpoint), (misshapen, .invalidCheckpoint), (mistyped, .unsupportedModel)] {
                let error = #expect(throws: ApusError.self) {
                    try load(model) { try $0.write("model.safetensors", TinyWeights.file(tensors)) }
                }
                #expect(error?.code == code)
                #expect(error?.description.contains(tensor.name) == true)
            }
        }
    }

    @Test(arguments: ["F16", "BF16"])
    func `half precision weights are accepted`(_ type: String) throws {
        let tensors = TinyModel(type: "roberta").tensors.map { TinyTensor(name: $0.name, shape: $0.shape, type: type) }
        _ = try load(TinyModel(type: "roberta")) { try $0.write("model.safetensors", TinyWeights.file(tensors)) }
    }
}
