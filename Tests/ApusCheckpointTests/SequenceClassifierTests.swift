import ApusCheckpoint
import ApusErrors
import ApusTensor
import Testing

struct SequenceClassifierTests {
    /// A head for the tiny model of a type, as transformers saves it.
    private static func head(_ type: String, labels: Int) -> [TinyTensor] {
        let names =
            switch type {
            case "bert": ["pooler.dense", "classifier"]
            case "distilbert": ["pre_classifier", "classifier"]
            default: ["classifier.dense", "classifier.out_proj"]
            }
        return zip(names, [8, labels]).flatMap { name, count in
            [TinyTensor(name: "\(name).weight", shape: [count, 8]), TinyTensor(name: "\(name).bias", shape: [count])]
        }
    }

    private static func prefix(_ type: String) -> String { type == "xlm-roberta" ? "roberta." : type + "." }

    private func directory(
        _ type: String = "bert", labels: Int = 3, with overrides: [String: String?] = [:],
        changing: (inout [TinyTensor]) -> Void = { _ in }
    ) throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        var members = overrides
        members["architectures"] = overrides["architectures"] ?? "[\"ModelForSequenceClassification\"]"
        if overrides["id2label"] == nil, overrides["num_labels"] == nil { members["num_labels"] = String(labels) }
        let model = TinyModel(type: type, prefix: Self.prefix(type), overrides: members)
        try model.write(to: directory)
        let head = Self.head(type, labels: labels).map { tensor in
            var tensor = tensor
            // BERT's pooler is the encoder's, the other heads stand beside it.
            if tensor.name.hasPrefix("pooler") { tensor.name = Self.prefix(type) + tensor.name }
            return tensor
        }
        let names = Set(head.map(\.name))
        var tensors = model.tensors.filter { !names.contains($0.name) } + head
        changing(&tensors)
        try directory.write("model.safetensors", TinyWeights.file(tensors))
        return directory
    }

    @Test(arguments: TinyModel.types, [1, 3])
    func `every family has a head over its first token`(_ type: String, _ labels: Int) throws {
        let directory = try directory(type, labels: labels)
        let checkpoint = try Checkpoint(directory: directory.path)
        let classifier = try #require(checkpoint.classifier)
        #expect(classifier.labels == (0..<labels).map { "LABEL_\($0)" } && checkpoint.dimensions == labels)
        #expect(classifier.task == (labels == 1 ? .rerank : .classify))
        #expect(classifier.scoring == (labels == 1 ? .each(.sigmoid) : .softmax))
        #expect(checkpoint.modules.count == 3)
        guard case .pooling(let pooling) = checkpoint.modules[0], case .dense(let dense) = checkpoint.modules[1],
            case .dense(let output) = checkpoint.modules[2]
        else {
            Issue.record("the modules are \(checkpoint.modules)")
            return
        }
        #expect(pooling.modes == [.cls])
        #expect(dense.activation == (type == "distilbert" ? .relu : .tanh) && output.activation == .identity)
        #expect([dense.inFeatures, dense.outFeatures, output.inFeatures, output.outFeatures] == [8, 8, 8, labels])
        #expect(try checkpoint.weightsSHA256().count == 64)
    }

    @Test func `without the architecture the same weights are an encoder's`() throws {
        for architectures in [nil, "[]", "[\"BertModel\"]"] {
            let directory = try directory("bert", with: ["architectures": architectures])
            if architectures == nil { try directory.write("config.json", TinyModel(type: "bert").config) }
            #expect(try Checkpoint(directory: directory.path).classifier == nil)
        }
    }

    @Test func `modules that pool make an encoder of it, a lone transformer does not`() throws {
        let directory = try directory()
        let transformer = (type: "sentence_transformers.base.modules.transformer.Transformer", path: "")
        try TinyModel.writeModules([transformer], to: directory)
        #expect(try Checkpoint(directory: directory.path).classifier?.labels.count == 3)
        try TinyModel.writeModules([transformer, (type: "sentence_transformers.models.Pooling", path: "1_Pooling")], to: directory)
        try directory.write("1_Pooling/config.json", "{}")
        #expect(try Checkpoint(directory: directory.path).classifier == nil)
    }

    @Test(arguments: [
        (1, nil, "torch.nn.modules.linear.Identity", .each(.identity)), (1, "regression", nil, .each(.sigmoid)),
        (1, nil, "torch.nn.modules.activation.Tanh", .each(.tanh)), (3, "multi_label_classification", nil, .each(.sigmoid)),
        (3, "single_label_classification", nil, .softmax), (3, "regression", nil, .each(.identity)),
        (3, nil, "torch.nn.modules.linear.Identity", .softmax), (3, nil, "torch.nn.modules.activation.Sigmoid", .each(.sigmoid)),
        (3, "multi_label_classification", "torch.nn.modules.activation.Softmax", .softmax),
    ] as [(Int, String?, String?, SequenceClassifier.Scoring)])
    func `scores are made as the files say`(_ row: (labels: Int, problem: String?, activation: String?, scoring: SequenceClassifier.Scoring)) throws {
        var overrides: [String: String?] = [:]
        if let problem = row.problem { overrides["problem_type"] = "\"\(problem)\"" }
        let activation = row.activation.map { "\"\($0)\"" } ?? "null"
        for (key, value) in [
            ("sbert_ce_default_activation_function", activation), ("sentence_transformers", "{\"activation_fn\":\(activation),\"version\":\"4.1.0\"}"),
        ] {
            let directory = try directory(labels: row.labels, with: overrides.merging([key: value]) { first, _ in first })
            #expect(try Checkpoint(directory: directory.path).classifier?.scoring == row.scoring)
        }
        let directory = try directory(labels: row.labels, with: overrides)
        try directory.write("config_sentence_transformers.json", "{\"model_type\":\"CrossEncoder\",\"activation_fn\":\(activation)}")
        #expect(try Checkpoint(directory: directory.path).classifier?.scoring == row.scoring)
    }

    @Test func `one label of several that may be right is no ranking`() throws {
        let directory = try directory(labels: 1, with: ["problem_type": "\"multi_label_classification\""])
        #expect(try Checkpoint(directory: directory.path).classifier?.task == .classify)
    }

    @Test func `labels have the names and the order of their numbers`() throws {
        let directory = try directory(with: ["id2label": #"{"2":"neutral","0":"bad","1":"good"}"#])
        #expect(try Checkpoint(directory: directory.path).classifier?.labels == ["bad", "good", "neutral"])
    }

    @Test(arguments: [
        ["num_labels": "0"], ["num_labels": "-3"], ["num_labels": "1000000000"], ["num_labels": "\"3\""], ["id2label": "{}"],
        ["id2label": #"{"0":"a","1":"b","3":"c"}"#], ["id2label": #"{"0":"a","1":"b","2":7}"#], ["num_labels": "2", "id2label": #"{"0":"a","1":"b","2":"c"}"#],
        ["id2label": "[]"], ["problem_type": "\"guessing\""], ["architectures": "\"BertForSequenceClassification\""], ["architectures": "[7]"],
        ["sentence_transformers": "7"], ["sbert_ce_default_activation_function": "[]"],
    ] as [[String: String?]])
    func `labels that contradict themselves are refused`(_ overrides: [String: String?]) throws {
        let directory = try directory(with: overrides)
        let error = #expect(throws: ApusError.self) { try Checkpoint(directory: directory.path) }
        #expect(error?.code == .invalidCheckpoint && error?.place?.contains("config.json") == true)
    }

    @Test(arguments: ["mine.Activation", "torch.nn.modules.activation.PReLU", "torch.hub.load"])
    func `activations that are not known are refused`(_ name: String) throws {
        let directory = try directory(labels: 1, with: ["sbert_ce_default_activation_function": "\"\(name)\""])
        let error = #expect(throws: ApusError.self) { try Checkpoint(directory: directory.path) }
        #expect(error?.code == .unsupportedModel)
    }

    @Test(arguments: TinyModel.types)
    func `heads that are missing or of another shape are refused`(_ type: String) throws {
        for index in 1...4 {
            let missing = try directory(type) { $0.remove(at: $0.count - index) }
            let error = #expect(throws: ApusError.self) { try Checkpoint(directory: missing.path) }
            #expect(error?.code == .invalidCheckpoint && error?.message.contains("missing") == true)
            let wrong = try directory(type) { $0[$0.count - index].shape[0] += 1 }
            #expect(throws: ApusError.self) { try Checkpoint(directory: wrong.path) }
            let integers = try directory(type) { $0[$0.count - index].type = "I16" }
            #expect(throws: ApusError.self) { try Checkpoint(directory: integers.path) }
        }
    }

    @Test func `a vector where a matrix should be is refused`() throws {
        let directory = try directory { $0[$0.count - 2].shape = [24] }
        #expect(throws: ApusError.self) { try Checkpoint(directory: directory.path) }
    }

    @Test func `the longest input is the tokenizer's as far as there are positions`() throws {
        let directory = try directory()
        for (limit, expected) in [("6", 6), ("4096", 10)] {
            try directory.write("tokenizer_config.json", "{\"model_max_length\":\(limit)}")
            #expect(try Checkpoint(directory: directory.path).maxTokens == expected)
        }
    }

    @Test(arguments: TinyModel.types)
    func `a quantised copy keeps its head as it is`(_ type: String) throws {
        let directory = try directory(type)
        let original = try Checkpoint(directory: directory.path)
        let target = try TemporaryDirectory()
        try original.quantized(to: .int8, into: target.path) { _, _ in }
        let copy = try Checkpoint(directory: target.path)
        #expect(copy.classifier == original.classifier && copy.quantization == .int8)
        for (one, other) in zip(copy.modules, original.modules) {
            guard case .dense(let one) = one, case .dense(let other) = other else { continue }
            #expect(one.weight.bytes.elementsEqual(other.weight.bytes) && one.weight.shape == other.weight.shape)
        }
        #expect(copy.modules.count == 3)
    }
}
