package import ApusErrors
import ApusJSON

extension Checkpoint {
    static let conversionAdvice =
        "Convert the weights to safetensors, for instance with model.save_pretrained(dir, safe_serialization=True) in transformers"

    /// The longest input of an ONNX model whose directory says nothing about it; the positions of BERT and its kin.
    private static let defaultMaxTokens = 512

    /// Reads a Hugging Face or sentence-transformers directory, or one that holds an ONNX file and a tokenizer.
    ///
    /// - Throws: `.fileUnreadable` for a missing directory or file, `.invalidCheckpoint` for content that contradicts its format or
    ///   itself, `.unsupportedModel` for models that Apus cannot serve.
    package init(directory path: String) throws(ApusError) {
        let directory = try ModelDirectory(path)
        let modules = try SentenceModules(directory)
        let transformer = modules.transformer
        let settings = try SentenceSettings(directory, transformer: transformer, isClassifier: modules.isClassifier)
        let tokenizer = "tokenizer.json"
        guard let home = [transformer, directory].first(where: { $0.has(tokenizer) }) else {
            throw ApusError(
                .fileUnreadable, "there is no tokenizer.json", place: transformer.file(tokenizer),
                advice: "Save the fast tokenizer beside the model: AutoTokenizer.from_pretrained(dir).save_pretrained(dir)")
        }
        tokenizerPath = home.file(tokenizer)
        name = directory.name
        self.directory = path
        classifier = try modules.isClassifier ? Self.classifier(directory, transformer) : nil
        lowercasesText = settings.lowercasesText
        prompts = settings.prompts
        defaultPromptName = settings.defaultPromptName

        if let weights = try WeightStore.weights(in: transformer) {
            guard transformer.has("config.json") else {
                throw ApusError(.fileUnreadable, "there is no config.json", place: transformer.file("config.json"))
            }
            let description = try transformer.json("config.json")
            let configuration = try EncoderConfiguration(description)
            let quantization = try QuantizationSettings(description)?.precision
            try configuration.validate(weights, quantization: quantization, place: transformer.path)
            self.quantization = quantization
            source = .encoder(configuration, weights)
            if let classifier {
                self.modules = try configuration.classifierModules(weights, labels: classifier.labels.count, place: transformer.path)
                dimensions = classifier.labels.count
            } else {
                self.modules = modules.modules
                dimensions = try modules.outputSize(from: configuration.hiddenSize)
            }
            maxTokens = min(settings.maxSequenceLength ?? .max, configuration.longestSequence)
            return
        }
        let file = try Self.onnxPath(directory, transformer)
        source = .onnx(try ONNXFile(path: file))
        quantization = nil
        self.modules = modules.modules
        dimensions = classifier?.labels.count
        if let positions = try Self.positions(transformer) {
            maxTokens = min(settings.maxSequenceLength ?? .max, positions)
        } else if let stated = settings.maxSequenceLength {
            maxTokens = stated
        } else {
            maxTokens = try SentenceSettings.tokenizerLimit(transformer) ?? Self.defaultMaxTokens
        }
    }

    private static func classifier(_ directory: ModelDirectory, _ transformer: ModelDirectory) throws(ApusError) -> SequenceClassifier {
        try SequenceClassifier(
            try transformer.json("config.json"), crossEncoder: try directory.jsonIfPresent("config_sentence_transformers.json"))
    }

    /// The ONNX file to serve: model.onnx, onnx/model.onnx or the only one there is.
    private static func onnxPath(_ directory: ModelDirectory, _ transformer: ModelDirectory) throws(ApusError) -> String {
        let ending = ".onnx"
        var candidates: [String] = []
        for folder in directory.path == transformer.path ? [directory] : [transformer, directory] {
            for name in ["model.onnx", "onnx/model.onnx"] where folder.has(name) { return folder.file(name) }
            candidates += folder.names().filter { $0.hasSuffix(ending) }.map(folder.file)
            if folder.has("onnx") {
                let inner = try? ModelDirectory(folder.file("onnx"))
                if let inner { candidates += inner.names().filter { $0.hasSuffix(ending) }.map(inner.file) }
            }
        }
        if candidates.count == 1 { return candidates[0] }
        guard candidates.isEmpty else {
            throw ApusError(
                .invalidCheckpoint, "there are several ONNX files: \(candidates.joined(separator: ", "))", place: directory.path,
                advice: "Name the one to serve model.onnx")
        }
        throw noWeights(transformer)
    }

    private static func noWeights(_ directory: ModelDirectory) -> ApusError {
        let names = directory.names()
        if let other = names.first(where: { $0.hasSuffix(".gguf") }) {
            return ApusError(
                .unsupportedModel, "GGUF models are not served yet", place: directory.file(other),
                advice: "Use the model's safetensors weights")
        }
        if let other = names.first(where: { $0.hasPrefix("pytorch_model") && $0.contains(".bin") }) {
            return ApusError(
                .unsupportedModel, "PyTorch pickles are not read, because reading them can run code", place: directory.file(other),
                advice: conversionAdvice)
        }
        return ApusError(
            .invalidCheckpoint, "there are no weights", place: directory.path,
            advice: "Put model.safetensors (or model.onnx) into the directory")
    }

    /// The sequence length that config.json gives an ONNX model of whatever type; nil when there is none.
    private static func positions(_ directory: ModelDirectory) throws(ApusError) -> Int? {
        guard let reader = try directory.jsonIfPresent("config.json"),
            let positions = try reader.optionalInteger("max_position_embeddings")
        else { return nil }
        let offset: Int
        switch try reader.optionalString("model_type").flatMap(EncoderConfiguration.Family.init) {
        case .roberta, .xlmRoberta: offset = (try reader.optionalInteger("pad_token_id") ?? 1).addingReportingOverflow(1).partialValue
        case .mpnet: offset = 2
        case .bert, .distilBert, nil: offset = 0
        }
        guard (1...1 << 30).contains(positions), (0..<positions).contains(offset) else {
            throw ApusError(
                .invalidCheckpoint, "\(positions) positions from \(offset) on leave none for a token",
                place: reader.place(of: "max_position_embeddings"))
        }
        return positions - offset
    }
}
