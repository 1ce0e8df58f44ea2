import ApusCheckpoint
import ApusEmbeddings
import ApusErrors
import ApusGraph
import ApusTokenizers

extension EngineRoom {
    /// Refuses a model that is made for another task, and what its files ask for and the graphs do not do.
    static func check(_ checkpoint: Checkpoint, for task: ModelTask?) throws(ApusError) {
        if let task, task != checkpoint.task {
            throw ApusError(
                .unsupportedTask, "the model is made for the task \(checkpoint.task.rawValue), not for \(task.rawValue)", place: checkpoint.name,
                advice: checkpoint.task.advice)
        }
        guard checkpoint.defaultPrompt?.isEmpty == false else { return }
        guard checkpoint.classifier == nil else {
            throw ApusError(.unsupportedModel, "default prompts of classifiers are not supported", place: checkpoint.name)
        }
        // Pooling that leaves a prompt's tokens out needs to know where it ends, which the graphs do not.
        for case .pooling(let pooling) in checkpoint.modules where !pooling.includesPrompt {
            throw ApusError(
                .unsupportedModel, "a default prompt that is left out of pooling (include_prompt: false) is not supported",
                place: checkpoint.name)
        }
    }
}

extension PrecisionSubject {
    /// Refuses a tokenizer whose token types the network has no rows for: a device would read beyond its table.
    func checkTokenTypes() throws(ApusError) {
        guard let size = checkpoint.typeVocabularySize else { return }
        for pair in checkpoint.classifier == nil ? [nil] : [nil, "b"] {
            let sequence = EncoderBatch.Sequence(tokenizer.encode("a", pair: pair), size)
            guard let stranger = sequence.typeIDs.first(where: { $0 < 0 || Int($0) >= max(1, size) }) else { continue }
            throw ApusError(
                .invalidTokenizer, "the template gives tokens the type \(stranger), the network has \(size) types",
                place: checkpoint.tokenizerPath)
        }
    }
}

extension ModelTask {
    fileprivate var advice: String {
        switch self {
        case .embedding: "Use apus embed, /v1/embeddings or Embedder"
        case .rerank: "Use apus rerank, /v1/rerank or Reranker"
        case .classify: "Use apus classify, /v1/classify or Classifier"
        }
    }
}
