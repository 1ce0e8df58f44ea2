import ApusErrors
package import ApusStores
package import ApusVectors

/// What a client asks for: a new collection.
package struct CreateCollectionRequest: Sendable {
    package enum Model: Sendable, Equatable {
        /// The server's first model for embeddings.
        case any
        case named(String)
        /// Vectors come from elsewhere.
        case none
    }

    package var name: CollectionName
    package var model: Model
    /// Nil for as many as the model gives; fewer cut its vectors.
    package var dimensions: Int?
    package var metric: VectorMetric
    package var storage: VectorStorage

    package init(
        name: CollectionName, model: Model = .any, dimensions: Int? = nil, metric: VectorMetric = .cosine, storage: VectorStorage = .fp32
    ) {
        self.name = name
        self.model = model
        self.dimensions = dimensions
        self.metric = metric
        self.storage = storage
    }
}

/// A name to a collection, whose model and its weights are settled for good.
struct CreateCollectionOperation: Sendable {
    let run: CollectionRun
    /// When the answer stops being of use; nil for never.
    let deadline: ContinuousClock.Instant?

    func run(_ request: CreateCollectionRequest) async throws -> CollectionDescription {
        let settings = try settings(request)
        return try await run.run(.create, until: deadline) { try await $0.create(request.name, settings) }
    }

    private func settings(_ request: CreateCollectionRequest) throws(ApusError) -> CollectionSettings {
        let model: ModelDescription?
        switch request.model {
        case .any: model = try served()
        case .named(let name): model = try run.runs.model(named: name, for: .embedding).description
        case .none: model = nil
        }
        guard let model else {
            guard let dimensions = request.dimensions else {
                throw ApusError(.invalidValue, "a collection without a model must say how long its vectors are", place: "dimensions")
            }
            return try CollectionSettings(dimensions: dimensions, metric: request.metric, storage: request.storage)
        }
        let dimensions = request.dimensions ?? model.dimensions
        guard (1...max(1, model.dimensions)).contains(dimensions) else {
            throw ApusError(
                .invalidValue, "\(dimensions) is outside 1 to \(model.dimensions), the length of the vectors of \(ClientText.quoted(model.id))",
                place: "dimensions", advice: "For vectors that come from elsewhere, say \"model\": null")
        }
        return try CollectionSettings(
            dimensions: dimensions, metric: request.metric, storage: request.storage, model: model.id, weights: model.weightsSHA256)
    }

    private func served() throws(ApusError) -> ModelDescription {
        let catalog = run.runs.catalog
        if let model = catalog.models.first(where: { $0.task == .embedding }) { return model }
        guard !catalog.readiness.contains(where: { $0.state == .loading }) else {
            throw ApusError(.modelLoading, "the models are still loading", place: "model", cause: RetryHint(seconds: 1))
        }
        throw ApusError(
            .modelNotFound, "no model for embeddings is served", place: "model",
            advice: "For vectors that come from elsewhere, say \"model\": null and \"dimensions\"")
    }
}
