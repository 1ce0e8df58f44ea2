import ApusErrors

/// Texts to vectors: limits first, then the model, then the cut to the wanted length.
struct EmbedOperation: Sendable {
    let catalog: any ModelCatalog
    let limits: ServiceLimits
    let metrics: ServiceMetrics
    let limiter: KeyLimiter

    /// Throws when no model has room for any request with these options, or the key has used up what it may: then nothing of the request
    /// needs to be read.
    func requireRoom(_ options: EmbeddingOptions) throws(ApusError) {
        try limiter.requireRoom(options.client)
        var refusal: ApusError?
        for model in catalog.ready {
            do throws(ApusError) {
                return try model.requireRoom(options)
            } catch {
                refusal = refusal ?? error
            }
        }
        if let refusal { throw refusal }
    }

    func run(_ request: EmbedRequest) async throws -> EmbedReply {
        let model = try model(named: request.model)
        let description = model.description
        try check(request, for: description)
        let failures = failures(in: request, for: description)
        let positions = request.inputs.indices.filter { failures[$0] == nil }
        if let failure = EmbeddingBatch.first(of: failures), !request.options.partial || positions.isEmpty { throw failure }
        try checkDeadline(request.options.deadline)
        try Task.checkCancellation()
        let inputs = failures.isEmpty ? request.inputs : positions.map { request.inputs[$0] }
        let answered = try await charging(request.options.client, for: inputs, of: description) {
            try await Deadline.race(request.options.deadline) {
                try await model.embed(inputs, options: request.options)
            }
        }
        let batch = answered.spread(over: request.inputs.count, at: positions, failures: failures).placingFailures()
        if let failure = batch.firstFailure, !request.options.partial || batch.failures.count == request.inputs.count { throw failure }
        let summary = ProvenanceSummary(batch.accounts)
        if summary.truncated > 0 {
            metrics.truncated(summary.truncated, model: description.id)
        }
        let cut = request.dimensions.map { batch.cut(to: $0) } ?? batch
        return EmbedReply(model: description, batch: cut, summary: summary)
    }

    /// Runs `body` once the key's limits have room for the tokens that `inputs` may come to, and then books those that were run.
    ///
    /// A failure of the server's own costs the client nothing; one who gives up pays the estimate, because the work may have been done.
    private func charging(
        _ client: ClientKey?, for inputs: [EmbeddingInput], of model: ModelDescription,
        _ body: () async throws -> EmbeddingBatch
    ) async throws -> EmbeddingBatch {
        let charge = try limiter.admit(client, tokens: Self.estimatedTokens(inputs, model))
        do {
            let batch = try await body()
            try batch.verify(inputs: inputs.count)
            limiter.settle(charge, tokens: ProvenanceSummary(batch.accounts).tokens)
            return batch
        } catch let error as ApusError where error.code != .deadlineExceeded && error.code != .cancelled {
            switch error.code {
            case .overloaded, .noDevice, .modelUnloaded, .engineFailure, .shuttingDown: limiter.giveBack(charge)
            default: limiter.settle(charge, tokens: 0)
            }
            throw error
        }
    }

    /// Tokens before anything is tokenised: four UTF-8 bytes of a text for one, the rule of thumb for English, and two special tokens.
    private static func estimatedTokens(_ inputs: [EmbeddingInput], _ model: ModelDescription) -> Int {
        inputs.reduce(0) { sum, input in
            switch input {
            case .text(let text): sum &+ min(model.maxTokens, text.utf8.count / 4 + 2)
            case .tokens(let ids): sum &+ min(model.maxTokens, ids.count)
            }
        }
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
        case .unloading, .unloaded:
            throw ApusError(
                .modelUnloaded, "the model \(ClientText.quoted(name)) was unloaded", place: "model",
                advice: "An operator can load it again with POST /v1/models/{id}/load", cause: RetryHint(seconds: 30)
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
    }

    /// What ails inputs of their own, by their index; without ``EmbeddingOptions/partial`` only of the first.
    private func failures(in request: EmbedRequest, for model: ModelDescription) -> [Int: ApusError] {
        var failures = request.faults.filter { request.inputs.indices.contains($0.key) }
        for (index, input) in request.inputs.enumerated() where failures[index] == nil {
            do throws(ApusError) {
                try check(input, at: index, for: model)
            } catch {
                failures[index] = error
                if !request.options.partial { break }
            }
        }
        return failures
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
