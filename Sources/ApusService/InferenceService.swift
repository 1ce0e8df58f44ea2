package import ApusErrors
import Synchronization

/// Everything Apus does for clients, free of transports: each operation checks limits, asks the models and answers a value or throws
/// `ApusError`.
package final class InferenceService: Sendable {
    package let metrics: ServiceMetrics
    private let embedding: EmbedOperation
    private let models: ModelsOperation
    private let health: HealthOperation
    private let draining = Atomic<Bool>(false)

    package init(
        catalog: any ModelCatalog,
        limits: ServiceLimits = .standard,
        metrics: ServiceMetrics = ServiceMetrics()
    ) {
        self.metrics = metrics
        embedding = EmbedOperation(catalog: catalog, limits: limits, metrics: metrics)
        models = ModelsOperation(catalog: catalog)
        health = HealthOperation(catalog: catalog)
    }

    /// - Throws: `.modelNotFound`, `.modelLoading`, `.modelFailed`, `.unsupportedTask`, `.emptyInput`, `.arrayTooLong`,
    ///   `.stringTooLong`, `.invalidToken`, `.invalidValue` (dimensions), `.deadlineExceeded`, `.cancelled`, `.shuttingDown`, and what
    ///   the model throws. Errors of other types become `.internalError`, with the error as its cause.
    package func embed(_ request: EmbedRequest) async throws(ApusError) -> EmbedReply {
        guard !isDraining else { throw Self.shuttingDown }
        do {
            return try await embedding.run(request)
        } catch {
            throw Self.told(error)
        }
    }

    package func listModels() -> [ModelDescription] { models.list() }

    /// - Throws: `.modelNotFound`.
    package func findModel(_ id: String) throws(ApusError) -> ModelDescription { try models.find(id) }

    package func readiness() -> ReadinessReport { health.report(draining: isDraining) }

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
