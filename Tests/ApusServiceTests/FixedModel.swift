import ApusService

/// Answers every request with the same batch, whatever was asked, and remembers what it was asked.
struct FixedModel: EmbeddingModel {
    let description: ModelDescription
    let answer: @Sendable ([EmbeddingInput], EmbeddingOptions) async throws -> EmbeddingBatch

    init(
        _ id: String = "m",
        dimensions: Int = 2,
        task: ModelDescription.Task = .embedding,
        labels: [String] = [],
        answer: @escaping @Sendable ([EmbeddingInput], EmbeddingOptions) async throws -> EmbeddingBatch
    ) {
        self.answer = answer
        description = ModelDescription(
            id: id, created: 1, task: task, dimensions: labels.isEmpty ? dimensions : labels.count, labels: labels, maxTokens: 4, vocabularySize: 10, precision: "fp32", devices: ["cpu:0"],
            weightsSHA256: "00"
        )
    }

    func embed(_ inputs: [EmbeddingInput], options: EmbeddingOptions) async throws -> EmbeddingBatch {
        try await answer(inputs, options)
    }
}

extension EmbeddingProvenance {
    static func plain(tokens: Int = 3, original: Int = 3, batch: Int = 1) -> EmbeddingProvenance {
        EmbeddingProvenance(
            device: "cpu:0", precision: "fp32", batchSize: batch, padding: 0, tokens: tokens, originalTokens: original,
            queueMilliseconds: 0, runMilliseconds: 1
        )
    }
}

struct OneModel: ModelCatalog {
    let model: FixedModel

    func entry(_ id: String) -> CatalogEntry? { id == model.description.id ? .ready(model) : nil }
    var models: [ModelDescription] { [model.description] }
    var readiness: [ModelReadiness] { [] }
}
