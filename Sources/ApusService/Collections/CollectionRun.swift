import ApusErrors
import ApusStores

/// What all operations on collections share: the store, the models behind collections, how many may work at once, and counting.
struct CollectionRun: Sendable {
    let source: any CollectionSource
    let runs: ModelRun
    let limits: CollectionLimits
    let metrics: CollectionMetrics
    let searches: WorkGate
    let writes: WorkGate

    init(_ source: any CollectionSource, runs: ModelRun, limits: CollectionLimits, metrics: CollectionMetrics) {
        self.source = source
        self.runs = runs
        self.limits = limits
        self.metrics = metrics
        searches = WorkGate("searches", running: limits.running, waiting: limits.waiting)
        writes = WorkGate("writes", running: limits.running, waiting: limits.waiting)
    }

    /// Runs `body` on the store, when `gate` lets it through, until the deadline, and counts how it fails.
    func run<Reply: Sendable>(
        _ operation: CollectionMetrics.Operation, through gate: WorkGate? = nil, until deadline: ContinuousClock.Instant? = nil,
        _ body: @escaping @Sendable (any CollectionStore) async throws -> Reply
    ) async throws -> Reply {
        do {
            if let deadline, deadline <= .now { throw Deadline.exceeded }
            return try await Deadline.race(deadline) {
                guard let gate else { return try await body(try await source.store()) }
                return try await gate.pass { try await body(try await source.store()) }
            }
        } catch let error as ApusError {
            metrics.failed(operation, error.code)
            throw Self.told(error)
        }
    }

    /// The error as clients may see it: where a store keeps its files is for the log.
    static func told(_ error: ApusError) -> ApusError {
        guard error.code == .storeUnavailable || error.code == .storeCorrupt else { return error }
        return ApusError(error.code, error.message, cause: error)
    }

    /// The model that makes the vectors of a collection: the one it names, or else any that is served with the same weights.
    /// - Throws: `.modelMismatch` when it is not served, or with other weights; `.modelLoading`, `.modelUnloaded`, `.modelFailed`, and
    ///   `.invalidValue` at `place` for a collection that takes vectors only.
    func model(of settings: CollectionSettings, _ name: CollectionName, place: String) throws(ApusError) -> any EmbeddingModel {
        guard let wanted = settings.model else {
            throw ApusError(
                .invalidValue, "the collection '\(name)' has no model that could make a vector of a text", place: place,
                advice: "Send vectors, or create a collection with a model")
        }
        let model = try served(wanted, settings, name, place)
        let description = model.description
        // A collection may keep shorter vectors than its model makes.
        let dimensions = description.dimensions >= settings.dimensions ? settings.dimensions : description.dimensions
        try settings.expect(model: description.id, weights: description.weightsSHA256, dimensions: dimensions, of: name)
        return model
    }

    /// - Parameter wanted: the name of the model when the collection was made.
    private func served(
        _ wanted: String, _ settings: CollectionSettings, _ name: CollectionName, _ place: String
    ) throws(ApusError) -> any EmbeddingModel {
        do throws(ApusError) {
            return try runs.model(named: wanted, for: .embedding)
        } catch {
            guard error.code == .modelNotFound else { throw error }
            let twin = runs.catalog.ready.first { model in
                model.description.task == .embedding && settings.weights?.utf8.elementsEqual(model.description.weightsSHA256.utf8) == true
            }
            guard let twin else {
                throw ApusError(
                    .modelMismatch, "the vectors of '\(name)' were made by \(ClientText.quoted(wanted)), which is not served here", place: place,
                    advice: "Serve that model, or send vectors")
            }
            return twin
        }
    }

    /// One vector of `dimensions` elements for each text.
    func vectors(
        of texts: [String], _ names: InputNames, by model: any EmbeddingModel, dimensions: Int, _ options: EmbeddingOptions
    ) async throws -> ModelRun.Outcome {
        var options = options
        options.partial = false
        let outcome = try await runs.run(.init(inputs: texts.map { .text($0) }, names: names, options: options), on: model)
        return ModelRun.Outcome(batch: outcome.batch.cut(to: dimensions), summary: outcome.summary)
    }

    /// Books a request that runs no model on the key's account.
    func charge(_ options: EmbeddingOptions) throws(ApusError) {
        _ = try runs.limiter.admit(options.client, tokens: 0)
    }
}
