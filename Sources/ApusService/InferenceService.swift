package import ApusErrors
import Synchronization

/// Everything Apus does for clients, free of transports: each operation checks limits, asks the models and answers a value or throws
/// `ApusError`.
package final class InferenceService: Sendable {
    package let metrics: ServiceMetrics
    package let access: AccessControl
    private let runs: ModelRun
    private let models: ModelsOperation
    private let health: HealthOperation
    private let devices: DevicesOperation?
    let collections: CollectionRun?
    package let collectionLimits: CollectionLimits
    private let draining = Atomic<Bool>(false)

    /// - Parameters:
    ///   - devices: nil for a service whose operator sees no devices; the operations on them then throw `.notFound`.
    ///   - collections: nil for a service that keeps none.
    ///   - access: the keys that let clients in, and what each may use.
    ///   - now: the clock that the keys' limits go by.
    package init(
        catalog: any ModelCatalog,
        devices: (any DeviceCatalog)? = nil,
        collections: (any CollectionSource)? = nil,
        limits: ServiceLimits = .standard,
        collectionLimits: CollectionLimits = .standard,
        metrics: ServiceMetrics = ServiceMetrics(),
        access: AccessControl = .open,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        self.metrics = metrics
        self.access = access
        let runs = ModelRun(catalog: catalog, limits: limits, metrics: metrics, limiter: KeyLimiter(access, now: now))
        self.runs = runs
        self.collectionLimits = collectionLimits
        self.collections = collections.map { CollectionRun($0, runs: runs, limits: collectionLimits, metrics: metrics.collections) }
        models = ModelsOperation(catalog: catalog)
        health = HealthOperation(catalog: catalog, devices: devices)
        self.devices = devices.map(DevicesOperation.init)
    }

    /// - Parameter caller: who asks; the request's key and, where it is higher than theirs, its priority are set to theirs.
    /// - Throws: `.insufficientScope`, `.modelNotFound`, `.modelLoading`, `.modelFailed`, `.modelUnloaded`, `.unsupportedTask`,
    ///   `.emptyInput`, `.arrayTooLong`, `.stringTooLong`, `.invalidToken`, `.invalidValue` (dimensions), `.rateLimitExceeded`,
    ///   `.deadlineExceeded`, `.cancelled`, `.shuttingDown`, and what the model throws. Errors of other types become `.internalError`, with
    ///   the error as its cause.
    package func embed(_ request: EmbedRequest, for caller: Caller = .anyone) async throws(ApusError) -> EmbedReply {
        var request = request
        request.options = try allowed(request.options, caller)
        return try await telling { try await EmbedOperation(runs: runs).run(request) }
    }

    /// Throws as ``embed(_:for:)`` does, of the query and the documents.
    package func rerank(_ request: RerankRequest, for caller: Caller = .anyone) async throws(ApusError) -> RerankReply {
        var request = request
        request.options = try allowed(request.options, caller)
        return try await telling { try await RerankOperation(runs: runs).run(request) }
    }

    /// Throws as ``embed(_:for:)`` does.
    package func classify(_ request: ClassifyRequest, for caller: Caller = .anyone) async throws(ApusError) -> ClassifyReply {
        var request = request
        request.options = try allowed(request.options, caller)
        return try await telling { try await ClassifyOperation(runs: runs).run(request) }
    }

    /// Throws as ``embed(_:for:)`` does, of the sources and the sentences.
    package func similarity(_ request: SimilarityRequest, for caller: Caller = .anyone) async throws(ApusError) -> SimilarityReply {
        var request = request
        request.options = try allowed(request.options, caller)
        request.options.partial = false
        return try await telling { try await SimilarityOperation(runs: runs).run(request) }
    }

    /// A question that can be asked before anything of a request but its head is known.
    /// - Parameter task: what the request's model must be made for.
    /// - Throws: `.overloaded` and `.rateLimitExceeded` when ``embed(_:for:)`` or its like would throw them for whatever is asked with these
    ///   options.
    package func requireRoom(
        _ options: EmbeddingOptions, for caller: Caller, task: ModelDescription.Task = .embedding
    ) throws(ApusError) {
        try runs.requireRoom(Self.capped(options, caller), for: task)
    }

    private func allowed(_ options: EmbeddingOptions, _ caller: Caller) throws(ApusError) -> EmbeddingOptions {
        guard !isDraining else { throw Self.shuttingDown }
        try caller.require(anyOf: [.infer])
        return Self.capped(options, caller)
    }

    func telling<Reply>(_ body: () async throws -> Reply) async throws(ApusError) -> Reply {
        do {
            return try await body()
        } catch {
            throw Self.told(error)
        }
    }

    static func capped(_ options: EmbeddingOptions, _ caller: Caller) -> EmbeddingOptions {
        var options = options
        options.client = caller.client
        options.priority = options.priority.capped(at: caller.highestPriority)
        return options
    }

    package func listModels() -> [ModelDescription] { models.list() }

    /// - Throws: `.modelNotFound`.
    package func findModel(_ id: String) throws(ApusError) -> ModelDescription { try models.find(id) }

    /// - Throws: `.modelNotFound`, `.shuttingDown`, and why loading failed.
    package func loadModel(_ id: String) async throws(ApusError) -> ModelState {
        guard !isDraining else { throw Self.shuttingDown }
        return try await models.load(id)
    }

    /// - Throws: `.modelNotFound`, `.shuttingDown`.
    package func unloadModel(_ id: String) async throws(ApusError) -> ModelState {
        guard !isDraining else { throw Self.shuttingDown }
        return try await models.unload(id)
    }

    package func readiness() -> ReadinessReport { health.report(draining: isDraining) }

    /// - Throws: `.notFound`.
    package func listDevices() throws(ApusError) -> DevicesReport { try operation().catalog.report }

    /// - Throws: `.notFound`, `.unknownDevice`.
    package func findDevice(_ id: String) throws(ApusError) -> DeviceDescription { try operation().find(id) }

    /// - Throws: `.notFound`, `.unknownDevice`, `.shuttingDown`.
    package func probe(_ id: String) throws(ApusError) -> DeviceDescription {
        let operation = try operatorAction()
        return try operation.catalog.probe(try operation.find(id).device)
    }

    /// - Throws: `.notFound`, `.unknownDevice`, `.shuttingDown`, and the device's failures.
    package func clearCache(_ id: String) async throws(ApusError) -> DeviceDescription {
        let operation = try operatorAction()
        return try await operation.catalog.clearCache(try operation.find(id).device)
    }

    /// - Throws: `.notFound`, `.shuttingDown`.
    package func clearCaches() async throws(ApusError) -> [DeviceDescription] { try await operatorAction().catalog.clearCaches() }

    /// - Throws: `.notFound`, `.unknownDevice`, `.shuttingDown`, `.invalidValue` (steps), `.fileUnwritable`, and the device's failures.
    package func profile(_ id: String, steps: Int) async throws(ApusError) -> ProfileReply {
        try await operatorAction().profile(id, steps: steps)
    }

    private func operation() throws(ApusError) -> DevicesOperation {
        guard let devices else { throw ApusError(.notFound, "this server shows no devices") }
        return devices
    }

    private func operatorAction() throws(ApusError) -> DevicesOperation {
        guard !isDraining else { throw Self.shuttingDown }
        return try operation()
    }

    /// From now on new work is refused with `.shuttingDown`; work already accepted goes on.
    package func beginDraining() {
        draining.store(true, ordering: .releasing)
    }

    package var isDraining: Bool { draining.load(ordering: .acquiring) }

    package static var shuttingDown: ApusError {
        ApusError(.shuttingDown, "the server is shutting down", cause: RetryHint(seconds: 1))
    }

    /// The error as clients may see it.
    private static func told(_ error: any Error) -> ApusError {
        switch error {
        case let error as ApusError: error
        case is CancellationError: ApusError(.cancelled, "the request was cancelled")
        default: ApusError(.internalError, "the request failed inside the server", cause: error)
        }
    }
}
