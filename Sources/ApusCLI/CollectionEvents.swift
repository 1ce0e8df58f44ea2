import ApusStores
import Logging
import Metrics

/// Puts what stores do by themselves into the log and the metrics of a server.
struct CollectionEvents: Sendable {
    let logger: Logger

    func tell(_ event: CollectionEvent) {
        switch event {
        case .reached(let address, let backend, let reason):
            // What is slow is worth a second look, what is as it should be is not.
            logger.log(
                level: backend == .pgvector ? .info : .notice, "the collections are in \(address)",
                metadata: ["backend": "\(backend.rawValue)", "why": "\(reason)"])
        case .compacted(let name, let report, let duration):
            Counter(label: "apus_collections_compactions_total", dimensions: [("outcome", "done")]).increment()
            logger.info(
                "a collection was compacted",
                metadata: [
                    "collection": "\(name)", "removed": "\(report.removed)", "bytes_before": "\(report.bytesBefore)", "bytes_after": "\(report.bytesAfter)",
                    "seconds": "\(duration / .seconds(1))",
                ])
        case .compactionFailed(let name, let error):
            Counter(label: "apus_collections_compactions_total", dimensions: [("outcome", "failed")]).increment()
            logger.warning("a collection could not be compacted: \(error)", metadata: ["collection": "\(name)"])
        }
    }
}
