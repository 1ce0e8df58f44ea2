import ApusErrors
import Metrics

/// What the service counts about collections. Collections' names are no labels: clients choose them.
package struct CollectionMetrics: Sendable {
    /// What is done with a collection, as a label.
    enum Operation: String, Sendable, CaseIterable {
        case list, create, describe, drop, compact, write, read, delete, search
    }

    /// What becomes of documents, as a label.
    enum Change: String, Sendable, CaseIterable {
        case added, replaced, deleted
    }

    private let factory: any MetricsFactory
    private let queries: Counter
    private let searchSeconds: Metrics.Timer
    private let writeSeconds: Metrics.Timer
    private let documents: [Change: Counter]

    init(_ factory: any MetricsFactory) {
        self.factory = factory
        queries = Counter(label: "apus_collections_queries_total", dimensions: [], factory: factory)
        searchSeconds = Metrics.Timer(
            label: "apus_collections_search_seconds", dimensions: [], preferredDisplayUnit: .seconds, factory: factory)
        writeSeconds = Metrics.Timer(
            label: "apus_collections_write_seconds", dimensions: [], preferredDisplayUnit: .seconds, factory: factory)
        documents = Dictionary(
            uniqueKeysWithValues: Change.allCases.map {
                ($0, Counter(label: "apus_collections_documents_total", dimensions: [("change", $0.rawValue)], factory: factory))
            })
    }

    func searched(queries count: Int, _ duration: Duration) {
        queries.increment(by: count)
        searchSeconds.recordNanoseconds(duration.nanoseconds)
    }

    func wrote(added: Int, replaced: Int, _ duration: Duration) {
        count(.added, added)
        count(.replaced, replaced)
        writeSeconds.recordNanoseconds(duration.nanoseconds)
    }

    func count(_ change: Change, _ number: Int) { documents[change]?.increment(by: number) }

    func failed(_ operation: Operation, _ code: ApusError.Code) {
        Counter(
            label: "apus_collections_errors_total", dimensions: [("operation", operation.rawValue), ("code", code.rawValue)], factory: factory
        ).increment()
    }
}

extension Duration {
    fileprivate var nanoseconds: Int64 { components.seconds &* 1_000_000_000 &+ components.attoseconds / 1_000_000_000 }
}
