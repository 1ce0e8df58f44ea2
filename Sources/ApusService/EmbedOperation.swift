import ApusErrors

/// Texts to vectors: limits first, then the model, then the cut to the wanted length.
struct EmbedOperation: Sendable {
    let catalog: any ModelCatalog
    let limits: ServiceLimits
    let metrics: ServiceMetrics

    func run(_ request: EmbedRequest) async throws -> EmbedReply {
        let model = try model(named: request.model)
        let description = model.description
        try check(request, for: description)
        try checkDeadline(request.options.deadline)
        try Task.checkCancellation()
        let batch = try await Deadline.race(request.options.deadline) {
            try await model.embed(request.inputs, options: request.options)
        }
        try batch.verify(inputs: request.inputs.count)
        let summary = ProvenanceSummary(batch.provenance)
        if summary.truncated > 0 {
            metrics.truncated(summary.truncated, model: description.id)
        }
        let cut = request.dimensions.map { batch.cut(to: $0) } ?? batch
        return EmbedReply(model: description, batch: cut, summary: summary)
    }

    private func model(named name: String) throws(ApusError) -> any EmbeddingModel {
        switch catalog.entry(name) {
        case .ready(let model):
            return model
        case .loading(let retryAfter):
            throw ApusError(
                .modelLoading, "the model \(ClientText.quoted(name)) is still loading", place: "model",
                cause: RetryHint(seconds: retryAfter)
            )
        case .failed(let reason):
            throw ApusError(.modelFailed, "the model \(ClientText.quoted(name)) could not be loaded: \(reason)", place: "model")
        case .otherTask(let description):
            throw ApusError(
                .unsupportedTask, "the model \(ClientText.quoted(name)) is made for the task \(description.task.rawValue), not for embedding",
                place: "model"
            )
        case nil:
            throw ApusError(
                .modelNotFound, "there is no model \(ClientText.quoted(name))", place: "model",
                advice: "GET /v1/models lists those that are loaded"
            )
        }
    }

    private func check(_ request: EmbedRequest, for model: ModelDescription) throws(ApusError) {
        guard !request.inputs.isEmpty else {
            throw ApusError(.emptyInput, "there is nothing to embed", place: "input")
        }
        guard request.inputs.count <= limits.maxInputs else {
            throw ApusError(
                .arrayTooLong, "\(request.inputs.count) inputs are more than the \(limits.maxInputs) that one request may hold",
                place: "input", advice: "Send them in several requests"
            )
        }
        if let dimensions = request.dimensions {
            guard (1...max(1, model.dimensions)).contains(dimensions) else {
                throw ApusError(
                    .invalidValue, "\(dimensions) is outside 1 to \(model.dimensions), the length of this model's vectors",
                    place: "dimensions"
                )
            }
        }
        for (index, input) in request.inputs.enumerated() {
            try check(input, at: index, for: model)
        }
    }

    private func check(_ input: EmbeddingInput, at index: Int, for model: ModelDescription) throws(ApusError) {
        switch input {
        case .text(let text):
            let bytes = text.utf8.count
            guard bytes > 0 else {
                throw ApusError(.emptyInput, "input \(index) is empty", place: "input")
            }
            guard bytes <= limits.maxInputBytes else {
                throw ApusError(
                    .stringTooLong, "input \(index) has \(bytes) bytes, more than the \(limits.maxInputBytes) that one text may have",
                    place: "input"
                )
            }
        case .tokens(let ids):
            guard !ids.isEmpty else {
                throw ApusError(.emptyInput, "input \(index) is empty", place: "input")
            }
            if let position = ids.firstIndex(where: { $0 < 0 || Int($0) >= model.vocabularySize }) {
                throw ApusError(
                    .invalidToken,
                    "token \(position) of input \(index) is \(ids[position]), outside 0 to \(model.vocabularySize - 1), this model's vocabulary",
                    place: "input"
                )
            }
        }
    }

    private func checkDeadline(_ deadline: ContinuousClock.Instant?) throws(ApusError) {
        if let deadline, deadline <= .now { throw Deadline.exceeded }
    }
}
