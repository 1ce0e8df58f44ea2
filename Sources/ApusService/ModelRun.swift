import ApusErrors

/// Inputs to rows of numbers: limits first, then the model. What all operations that run a model share.
struct ModelRun: Sendable {
    let catalog: any ModelCatalog
    let limits: ServiceLimits
    let metrics: ServiceMetrics
    let limiter: KeyLimiter

    /// What is asked of a model.
    struct Order: Sendable {
        var inputs: [EmbeddingInput]
        var names: InputNames
        var options: EmbeddingOptions
        /// Inputs that could be read but never be right, by their index.
        var faults: [Int: ApusError] = [:]
    }

    struct Outcome: Sendable {
        let batch: EmbeddingBatch
        let summary: ProvenanceSummary
    }

    /// Throws when no model for the task has room for any request with these options, or the key has used up what it may: then nothing of the
    /// request needs to be read.
    func requireRoom(_ options: EmbeddingOptions, for task: ModelDescription.Task) throws(ApusError) {
        try limiter.requireRoom(options.client)
        var refusal: ApusError?
        for model in catalog.ready where model.task == task {
            do throws(ApusError) {
                return try model.requireRoom(options)
            } catch {
                refusal = refusal ?? error
            }
        }
        if let refusal { throw refusal }
    }

    func model(named name: String, for task: ModelDescription.Task) throws(ApusError) -> any EmbeddingModel {
        switch catalog.entry(name) {
        case .ready(let model):
            let made = model.task
            guard made == task else {
                throw ApusError(
                    .unsupportedTask, "the model \(ClientText.quoted(name)) is made for the task \(made.rawValue), not for \(task.rawValue)",
                    place: "model", advice: made.route.map { "Ask it at \($0)" })
            }
            return model
        case .loading(let retryAfter):
            throw ApusError(
                .modelLoading, "the model \(ClientText.quoted(name)) is still loading", place: "model",
                cause: RetryHint(seconds: retryAfter)
            )
        case .failed(let reason):
            throw ApusError(.modelFailed, "the model \(ClientText.quoted(name)) could not be loaded: \(reason)", place: "model")
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

    /// One row for each input, in their order.
    func run(_ order: Order, on model: any EmbeddingModel) async throws -> Outcome {
        let description = model.description
        let failures = failures(in: order, for: description)
        let positions = order.inputs.indices.filter { failures[$0] == nil }
        let options = order.options
        if let failure = EmbeddingBatch.first(of: failures), !options.partial || positions.isEmpty { throw failure }
        if let deadline = options.deadline, deadline <= .now { throw Deadline.exceeded }
        try Task.checkCancellation()
        let inputs = failures.isEmpty ? order.inputs : positions.map { order.inputs[$0] }
        let answered: EmbeddingBatch
        do {
            answered = try await charging(options.client, for: inputs, of: description) {
                try await Deadline.race(options.deadline) {
                    try await model.embed(inputs, options: options)
                }
            }
        } catch let error as ApusError {
            throw order.names.telling(error)
        }
        let batch = answered.spread(over: order.inputs.count, at: positions, failures: failures).placingFailures(order.names)
        if let failure = batch.firstFailure, !options.partial || batch.failures.count == order.inputs.count { throw failure }
        let summary = ProvenanceSummary(batch.accounts)
        if summary.truncated > 0 {
            metrics.truncated(summary.truncated, model: description.id)
        }
        return Outcome(batch: batch, summary: summary)
    }

    /// Refuses an empty list and one that is too long.
    func checkCount(_ count: Int, of field: String, for purpose: String) throws(ApusError) {
        guard count > 0 else {
            throw ApusError(.emptyInput, "there is nothing to \(purpose)", place: field)
        }
        guard count <= limits.maxInputs else {
            throw ApusError(
                .arrayTooLong, "\(count) inputs are more than the \(limits.maxInputs) that one request may hold",
                place: field, advice: "Send them in several requests"
            )
        }
    }

    /// Refuses an empty text and one that is too long.
    func check(_ text: String, named name: String, at place: String) throws(ApusError) {
        let bytes = text.utf8.count
        guard bytes > 0 else {
            throw ApusError(.emptyInput, "\(name) is empty", place: place)
        }
        guard bytes <= limits.maxInputBytes else {
            throw ApusError(
                .stringTooLong, "\(name) has \(bytes) bytes, more than the \(limits.maxInputBytes) that one text may have", place: place)
        }
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
            case .pair(let first, let second): sum &+ min(model.maxTokens, first.utf8.count / 4 + second.utf8.count / 4 + 3)
            case .tokens(let ids): sum &+ min(model.maxTokens, ids.count)
            }
        }
    }

    /// What ails inputs of their own, by their index; without ``EmbeddingOptions/partial`` only of the first.
    private func failures(in order: Order, for model: ModelDescription) -> [Int: ApusError] {
        var failures = order.faults.filter { order.inputs.indices.contains($0.key) }
        for (index, input) in order.inputs.enumerated() where failures[index] == nil {
            do throws(ApusError) {
                try check(input, at: index, order.names, for: model)
            } catch {
                failures[index] = error
                if !order.options.partial { break }
            }
        }
        return failures
    }

    private func check(
        _ input: EmbeddingInput, at index: Int, _ names: InputNames, for model: ModelDescription
    ) throws(ApusError) {
        let (name, field) = (names.name(index), names.field(index))
        switch input {
        case .text(let text):
            try check(text, named: name, at: field)
        case .pair(let first, let second):
            for text in [first, second] { try check(text, named: "a text of \(name)", at: field) }
        case .tokens(let ids):
            guard !ids.isEmpty else {
                throw ApusError(.emptyInput, "\(name) is empty", place: field)
            }
            if let position = ids.firstIndex(where: { $0 < 0 || Int($0) >= model.vocabularySize }) {
                throw ApusError(
                    .invalidToken,
                    "token \(position) of \(name) is \(ids[position]), outside 0 to \(model.vocabularySize - 1), this model's vocabulary",
                    place: field
                )
            }
        }
    }
}

extension ModelDescription.Task {
    /// Where models for it are asked.
    fileprivate var route: String? {
        switch self {
        case .embedding: "/v1/embeddings"
        case .rerank: "/v1/rerank"
        case .classify: "/v1/classify"
        case .generate: nil
        }
    }
}
