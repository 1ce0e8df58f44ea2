import ApusCheckpoint
import ApusErrors
import Testing

struct SentenceModulesTests {
    private static let transformer = (type: "sentence_transformers.models.Transformer", path: "")
    private static let pooling = (type: "sentence_transformers.models.Pooling", path: "1_Pooling")
    private static let dense = (type: "sentence_transformers.models.Dense", path: "2_Dense")
    private static let normalize = (type: "sentence_transformers.models.Normalize", path: "3_Normalize")

    private func directory(_ modules: [(type: String, path: String)], pooling: String = "{}") throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        try TinyModel(type: "bert").write(to: directory)
        try TinyModel.writeModules(modules, to: directory)
        try directory.write("1_Pooling/config.json", pooling)
        return directory
    }

    private func writeDense(
        _ config: String = #"{"in_features":8,"out_features":3,"bias":true,"activation_function":"torch.nn.modules.activation.Tanh"}"#,
        _ tensors: [TinyTensor] = [TinyTensor(name: "linear.weight", shape: [3, 8]), TinyTensor(name: "linear.bias", shape: [3])],
        to directory: TemporaryDirectory
    ) throws {
        try directory.write("2_Dense/config.json", config)
        try directory.write("2_Dense/model.safetensors", TinyWeights.file(tensors))
    }

    private func modes(_ checkpoint: Checkpoint) -> [PoolingConfiguration.Mode] {
        guard case .pooling(let pooling)? = checkpoint.modules.first else { return [] }
        return pooling.modes
    }

    @Test func `without modules_json the tokens' mean is taken and not normalised`() throws {
        let directory = try TemporaryDirectory()
        try TinyModel(type: "bert").write(to: directory)
        let checkpoint = try Checkpoint(directory: directory.path)
        #expect(modes(checkpoint) == [.mean])
        #expect(checkpoint.modules.count == 1)
    }

    @Test(arguments: [
        (#"{"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":false}"#, [.cls]), (#"{"pooling_mode_mean_tokens":true}"#, [.mean]),
        (#"{"pooling_mode_max_tokens":true}"#, [.max]), (#"{"pooling_mode_mean_sqrt_len_tokens":true}"#, [.meanSqrtLength]),
        (#"{"pooling_mode_weightedmean_tokens":true}"#, [.weightedMean]), (#"{"pooling_mode_lasttoken":true}"#, [.lastToken]),
        (#"{"pooling_mode_lasttoken":true,"pooling_mode_mean_tokens":true,"pooling_mode_cls_token":true}"#, [.cls, .mean, .lastToken]),
        (#"{"pooling_mode":"lasttoken"}"#, [.lastToken]), (#"{"pooling_mode":["max","cls"]}"#, [.max, .cls]), ("{}", [.mean]),
        (#"{"pooling_mode":"mean","pooling_mode_cls_token":true}"#, [.mean]), (#"{"word_embedding_dimension":8}"#, [.mean]),
    ] as [(String, [PoolingConfiguration.Mode])])
    func `pooling modes are read in both spellings and in sentence-transformers' order`(
        _ row: (config: String, modes: [PoolingConfiguration.Mode])
    ) throws {
        let directory = try directory([Self.transformer, Self.pooling], pooling: row.config)
        let checkpoint = try Checkpoint(directory: directory.path)
        #expect(modes(checkpoint) == row.modes)
        #expect(checkpoint.dimensions == 8 * row.modes.count)
    }

    @Test(arguments: [
        (#"{"pooling_mode":"attention"}"#, ApusError.Code.unsupportedModel), (#"{"pooling_mode":[]}"#, .invalidCheckpoint),
        (#"{"pooling_mode":1}"#, .invalidCheckpoint), (#"{"pooling_mode_cls_token":"yes"}"#, .invalidCheckpoint),
        (#"{"word_embedding_dimension":9}"#, .invalidCheckpoint), (#"{"embedding_dimension":9}"#, .invalidCheckpoint), ("[]", .invalidCheckpoint),
        ("{", .invalidCheckpoint),
    ])
    func `pooling that cannot be is refused by its file`(_ row: (config: String, code: ApusError.Code)) throws {
        let directory = try directory([Self.transformer, Self.pooling], pooling: row.config)
        let error = #expect(throws: ApusError.self) { try Checkpoint(directory: directory.path) }
        #expect(error?.code == row.code)
        #expect(error?.place?.contains("1_Pooling/config.json") == true)
    }

    @Test func `a dense layer and normalisation follow the pooling`() throws {
        let directory = try directory([Self.transformer, Self.pooling, Self.dense, Self.normalize])
        try writeDense(to: directory)
        let checkpoint = try Checkpoint(directory: directory.path)
        #expect(checkpoint.modules.count == 3)
        #expect(checkpoint.dimensions == 3)
        guard case .dense(let dense) = checkpoint.modules[1], case .normalize = checkpoint.modules[2] else {
            Issue.record("a dense layer and a normalisation are wanted")
            return
        }
        #expect(dense.inFeatures == 8)
        #expect(dense.outFeatures == 3)
        #expect(dense.activation == .tanh)
        #expect(dense.weight.shape == [3, 8])
        #expect(dense.weight.name == "2_Dense/linear.weight")
        #expect(dense.bias?.shape == [3])
    }

    @Test(arguments: [
        ("torch.nn.modules.linear.Identity", Activation.identity), ("torch.nn.modules.activation.GELU", .gelu),
        ("torch.nn.modules.activation.ReLU", .relu), ("torch.nn.modules.activation.Sigmoid", .sigmoid),
    ])
    func `dense activations are known by torch's class names`(_ row: (name: String, activation: Activation)) throws {
        let directory = try directory([Self.transformer, Self.pooling, Self.dense])
        try writeDense(
            #"{"in_features":8,"out_features":3,"bias":false,"activation_function":"\#(row.name)"}"#,
            [TinyTensor(name: "linear.weight", shape: [3, 8])], to: directory)
        guard case .dense(let dense)? = try Checkpoint(directory: directory.path).modules.last else {
            Issue.record("a dense layer is wanted")
            return
        }
        #expect(dense.activation == row.activation)
        #expect(dense.bias == nil)
    }

    @Test(arguments: [
        (#"{"in_features":8,"out_features":3,"activation_function":"os.system"}"#, ApusError.Code.unsupportedModel),
        (#"{"in_features":8,"out_features":3,"activation_function":"torch.nn.modules.activation.Hardtanh"}"#, .unsupportedModel),
        (#"{"in_features":8,"out_features":3,"use_residual":true}"#, .unsupportedModel),
        (#"{"in_features":8,"out_features":3,"module_input_name":"token_embeddings"}"#, .unsupportedModel),
        (#"{"in_features":8,"out_features":4}"#, .invalidCheckpoint), (#"{"in_features":9,"out_features":3}"#, .invalidCheckpoint),
        (#"{"in_features":8,"out_features":-3}"#, .invalidCheckpoint), (#"{"out_features":3}"#, .invalidCheckpoint),
    ])
    func `a dense layer that cannot be is refused by its folder`(_ row: (config: String, code: ApusError.Code)) throws {
        let directory = try directory([Self.transformer, Self.pooling, Self.dense])
        try writeDense(row.config, to: directory)
        let error = #expect(throws: ApusError.self) { try Checkpoint(directory: directory.path) }
        #expect(error?.code == row.code)
        #expect(error?.place?.contains("2_Dense") == true)
    }

    @Test func `a dense layer must fit what comes before it`() throws {
        let directory = try directory([Self.transformer, Self.pooling, Self.dense], pooling: #"{"pooling_mode":["cls","max"]}"#)
        try writeDense(to: directory)
        let error = #expect(throws: ApusError.self) { try Checkpoint(directory: directory.path) }
        #expect(error?.message.contains("16") == true)
    }

    @Test(arguments: [
        [], [pooling], [transformer], [transformer, transformer, pooling], [transformer, normalize], [transformer, pooling, pooling],
        [transformer, (type: "sentence_transformers.models.CNN", path: "1_CNN"), pooling],
        [transformer, (type: "my_package.Pooling", path: "1_Pooling")], [transformer, (type: pooling.type, path: "../1_Pooling")],
        [transformer, (type: pooling.type, path: "/1_Pooling")], [transformer, (type: pooling.type, path: "9_Pooling")],
        [(type: transformer.type, path: ".."), pooling],
    ] as [[(type: String, path: String)]])
    func `module lists that cannot be served are refused`(_ modules: [(type: String, path: String)]) throws {
        let directory = try directory(modules)
        let error = #expect(throws: ApusError.self) { try Checkpoint(directory: directory.path) }
        #expect([.unsupportedModel, .invalidCheckpoint, .fileUnreadable].contains(error?.code))
        #expect(error?.place?.contains("modules.json") == true || error?.place?.contains("9_Pooling") == true)
    }

    @Test func `newer class paths and a transformer in its own folder are understood`() throws {
        let directory = try TemporaryDirectory()
        let model = TinyModel(type: "bert")
        try directory.write("0_Transformer/config.json", model.config)
        try directory.write("0_Transformer/tokenizer.json", "{}")
        try directory.write("0_Transformer/model.safetensors", TinyWeights.file(model.tensors))
        try directory.write("0_Transformer/sentence_bert_config.json", #"{"max_seq_length":5,"do_lower_case":true}"#)
        try directory.write("1_Pooling/config.json", #"{"pooling_mode":"cls"}"#)
        try TinyModel.writeModules(
            [
                (type: "sentence_transformers.base.modules.transformer.Transformer", path: "0_Transformer"),
                (type: "sentence_transformers.sentence_transformer.modules.pooling.Pooling", path: "1_Pooling"),
                (type: "sentence_transformers.models.Dropout", path: "2_Dropout"),
            ], to: directory)
        let checkpoint = try Checkpoint(directory: directory.path)
        #expect(modes(checkpoint) == [.cls])
        #expect(checkpoint.maxTokens == 5)
        #expect(checkpoint.lowercasesText)
        #expect(checkpoint.tokenizerPath.hasSuffix("0_Transformer/tokenizer.json"))
    }
}
