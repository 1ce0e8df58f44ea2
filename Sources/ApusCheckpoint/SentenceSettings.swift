import ApusErrors
import ApusJSON

/// What sentence_bert_config.json and config_sentence_transformers.json say about the text that goes in.
struct SentenceSettings {
    /// `max_seq_length`; where the file is there without it, the tokenizer's limit, which is where sentence-transformers 6 writes it.
    let maxSequenceLength: Int?
    let lowercasesText: Bool
    let prompts: [String: String]
    let defaultPromptName: String?

    /// The name of the first file differs by the family's first sentence-transformers release.
    private static let transformerFiles = [
        "sentence_bert_config.json", "sentence_roberta_config.json", "sentence_distilbert_config.json", "sentence_xlm-roberta_config.json",
    ]

    /// - Parameters:
    ///   - directory: the model directory.
    ///   - transformer: the folder of its Transformer module.
    ///   - isClassifier: whether the tokenizer's limit counts without the first file, too, as transformers has it.
    init(_ directory: ModelDirectory, transformer: ModelDirectory, isClassifier: Bool) throws(ApusError) {
        let name = Self.transformerFiles.first { transformer.has($0) }
        let settings: JSONReader? = if let name { try transformer.json(name) } else { nil }
        let stated = try settings?.optionalInteger("max_seq_length")
        if let settings, let stated, stated < 1 {
            throw ApusError(.invalidCheckpoint, "\(stated) is not positive", place: settings.place(of: "max_seq_length"))
        }
        maxSequenceLength = (settings != nil || isClassifier) && stated == nil ? try Self.tokenizerLimit(transformer) : stated
        lowercasesText = try settings?.optionalBool("do_lower_case") ?? false

        let model = try directory.jsonIfPresent("config_sentence_transformers.json")
        var prompts: [String: String] = [:]
        if let reader = try model?.optionalReader("prompts") {
            for (key, _) in reader.object.entries { prompts[key] = try reader.optionalString(key) }
        }
        self.prompts = prompts
        defaultPromptName = try model?.optionalString("default_prompt_name")
        if let model, let defaultPromptName, prompts[defaultPromptName] == nil {
            throw ApusError(
                .invalidCheckpoint, "there is no prompt \(defaultPromptName.debugDescription)", place: model.place(of: "default_prompt_name"))
        }
    }

    /// `model_max_length` of tokenizer_config.json; nil when it is missing, or the number of thirty digits that stands for no limit.
    static func tokenizerLimit(_ directory: ModelDirectory) throws(ApusError) -> Int? {
        guard let reader = try directory.jsonIfPresent("tokenizer_config.json"),
            let limit = try reader.optionalNumber("model_max_length"), limit >= 1, limit <= Double(1 << 20)
        else { return nil }
        return Int(limit)
    }
}
