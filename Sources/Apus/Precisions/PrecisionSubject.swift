package import ApusCheckpoint
package import ApusErrors
package import ApusTensor
package import ApusTokenizers

/// A model whose forms are measured.
package struct PrecisionSubject: Sendable {
    package let checkpoint: Checkpoint
    package let tokenizer: Tokenizer
    /// SHA-256 of the weights.
    package let weights: String
    /// SHA-256 of the files that say how they are used.
    package let files: String

    package init(_ checkpoint: Checkpoint, _ tokenizer: Tokenizer, weights: String, files: String) {
        self.checkpoint = checkpoint
        self.tokenizer = tokenizer
        self.weights = weights
        self.files = files
    }

    /// Of quantised weights, the lowest cosine to those that they were made from, as far as it is known.
    var recordedCosine: Double? {
        checkpoint.quantization == nil ? nil : QuantizationRecord.cosine(in: checkpoint.directory)
    }

    /// What is computed where `asked` is asked for: weights that were quantised before have one precision. Throws `unsupported_precision` for another.
    package func precision(_ asked: Precision) throws(ApusError) -> Precision {
        guard let stored = checkpoint.quantization else { return asked }
        guard asked == .auto || asked == stored else {
            throw ApusError(
                .unsupportedPrecision, "the model's weights were quantised to \(stored.rawValue), \(asked.rawValue) is not available",
                place: checkpoint.name, advice: "Use --precision \(stored.rawValue) or auto, or the model that they were quantised from")
        }
        return stored
    }

    /// The same; nil for a network that comes as a file, which has one form only.
    package init?(ofNetworkIn directory: String) throws(ApusError) {
        guard case .encoder = try Checkpoint(directory: directory).source else { return nil }
        try self.init(directory: directory)
    }

    /// Reads the model in `directory`. Blocks. Throws the checkpoint's and the tokenizer's errors.
    package init(directory: String) throws(ApusError) {
        let checkpoint = try Checkpoint(directory: directory)
        let key = KnownAnswerStore.Key(weights: try checkpoint.weightsSHA256(), directory: directory)
        // What older versions kept of such a directory were embeddings.
        let files = checkpoint.classifier == nil ? key.files : "\(key.files)-logits"
        self.init(checkpoint, try Tokenizer(contentsOf: checkpoint.tokenizerPath), weights: key.weights, files: files)
        checkpoint.releaseMappedPages()
    }
}
