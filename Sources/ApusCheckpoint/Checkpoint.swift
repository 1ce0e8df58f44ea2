package import ApusTensor

/// A model directory, read and checked: what the network is, what follows it, and what it takes.
package struct Checkpoint: Sendable {
    package enum Source: Sendable {
        /// An architecture that Apus writes the network for, and its weights.
        case encoder(EncoderConfiguration, WeightStore)
        /// A finished network.
        case onnx(ONNXFile)
    }

    /// The directory's name.
    package let name: String
    /// The directory's path, as it was given.
    package let directory: String
    package let source: Source
    /// What the weights were quantised to before they were written; nil for weights in floating point and for ONNX files.
    package let quantization: Precision?
    /// What its logits mean; nil for a model whose vectors are embeddings.
    package let classifier: SequenceClassifier?
    /// What follows the transformer, a pooling module first; of a classifier its head. Empty for a classifier's ONNX file, which holds it.
    package let modules: [SentenceModule]
    /// The most tokens of one input, special tokens included: `max_seq_length` of sentence_bert_config.json, else the positions that the
    /// network has; never more than those.
    package let maxTokens: Int
    package let tokenizerPath: String
    /// Elements of a text's vector, the labels of a classifier; nil for ONNX files, which tell it only once they are loaded.
    package let dimensions: Int?
    /// Whether texts are to be lowercased before the tokenizer sees them (`do_lower_case`).
    package let lowercasesText: Bool
    /// Texts to put before an input, by name (`query`, `passage`, …).
    package let prompts: [String: String]
    /// The prompt to use when a caller names none.
    package let defaultPromptName: String?

    /// The text of the default prompt; nil when there is none.
    package var defaultPrompt: String? {
        defaultPromptName.flatMap { prompts[$0] }
    }
}
