/// The families that tell of collections. Emitted by ApusService's `CollectionMetrics`, and that of compactions by the server's `CollectionEvents`.
extension MetricCatalog {
    static let collections: [MetricDescriptor] = [
        .init("apus_collections_queries_total", .counter, "Queries that collections were searched for."),
        .init(
            "apus_collections_search_seconds", .histogram(buckets: secondsBuckets),
            "Seconds a search of a collection took in the store, from its turn to its hits."),
        .init(
            "apus_collections_write_seconds", .histogram(buckets: secondsBuckets),
            "Seconds a write to a collection took in the store, until all its documents were durable."),
        .init(
            "apus_collections_documents_total", .counter, by: ["change"], "Documents of collections that were added, replaced and deleted, by change."),
        .init(
            "apus_collections_errors_total", .counter, by: ["operation", "code"],
            "Operations on collections that failed in the store or waiting for it, by operation and error code."),
        .init(
            "apus_collections_compactions_total", .counter, by: ["outcome"],
            "Compactions of collections that began by themselves and ended, by outcome: done or failed."),
    ]
}
