package import ApusErrors
package import Metrics

/// What the service counts. Names are those of the metrics catalogue; the backend decides what becomes of them.
///
/// A value must be made after the backend was installed, since swift-metrics binds a metric to its backend when it is made.
package struct ServiceMetrics: Sendable {
    /// The routes that are told apart, so that no client can invent label values.
    package enum Route: String, Sendable, CaseIterable {
        case embeddings = "/v1/embeddings"
        case rerank = "/v1/rerank"
        case classify = "/v1/classify"
        case similarity = "/v1/similarity"
        case models = "/v1/models"
        case model = "/v1/models/{id}"
        case modelLoad = "/v1/models/{id}/load"
        case modelUnload = "/v1/models/{id}/unload"
        case devices = "/v1/devices"
        case device = "/v1/devices/{id}"
        case deviceProbe = "/v1/devices/{id}/probe"
        case deviceClearCache = "/v1/devices/{id}/clear_cache"
        case deviceProfile = "/v1/devices/{id}/profile"
        case devicesClearCache = "/v1/devices/clear_cache"
        case collections = "/v1/collections"
        case collection = "/v1/collections/{name}"
        case documents = "/v1/collections/{name}/documents"
        case document = "/v1/collections/{name}/documents/{id}"
        case documentsDelete = "/v1/collections/{name}/delete"
        case collectionSearch = "/v1/collections/{name}/search"
        case collectionCompact = "/v1/collections/{name}/compact"
        case live = "/health/live"
        case ready = "/health/ready"
        case metrics = "/metrics"
        case openAPI = "/openapi.json"
        case unknown = "unknown"
    }

    package let collections: CollectionMetrics
    private let factory: any MetricsFactory
    private let inFlight: Meter
    private let durations: [Route: Metrics.Timer]
    private let successes: [Route: Counter]

    package init(_ factory: any MetricsFactory = MetricsSystem.factory) {
        self.factory = factory
        collections = CollectionMetrics(factory)
        inFlight = Meter(label: "apus_in_flight_requests", dimensions: [], factory: factory)
        var durations: [Route: Metrics.Timer] = [:]
        var successes: [Route: Counter] = [:]
        for route in Route.allCases {
            durations[route] = Metrics.Timer(
                label: "apus_request_seconds", dimensions: [("route", route.rawValue)],
                preferredDisplayUnit: .seconds, factory: factory
            )
            successes[route] = Counter(
                label: "apus_requests_total", dimensions: [("route", route.rawValue), ("code", "ok")], factory: factory
            )
        }
        self.durations = durations
        self.successes = successes
    }

    package func began() {
        inFlight.increment()
    }

    /// - Parameters:
    ///   - code: why the request failed; nil when it did not.
    ///   - duration: from the complete request to the complete answer.
    package func ended(_ route: Route, code: ApusError.Code?, duration: Duration) {
        inFlight.decrement()
        let (seconds, attoseconds) = duration.components
        durations[route]?.recordNanoseconds(seconds &* 1_000_000_000 &+ attoseconds / 1_000_000_000)
        if let code {
            Counter(
                label: "apus_requests_total", dimensions: [("route", route.rawValue), ("code", code.rawValue)], factory: factory
            ).increment()
        } else {
            successes[route]?.increment()
        }
    }

    /// Counts a request that was refused before it was complete.
    package func refused(code: ApusError.Code) {
        Counter(
            label: "apus_requests_total",
            dimensions: [("route", Route.unknown.rawValue), ("code", code.rawValue)], factory: factory
        ).increment()
    }

    func truncated(_ count: Int, model: String) {
        Counter(label: "apus_truncated_inputs_total", dimensions: [("model", model)], factory: factory).increment(by: count)
    }
}
