package import ApusErrors

/// What a store does by itself and tells of, for the log and for metrics.
package enum CollectionEvent: Sendable {
    /// A database was reached; how collections that are made in it are kept.
    case reached(address: String, CollectionBackend, reason: String)
    /// A collection had so much that was deleted that it was compacted without being asked.
    case compacted(CollectionName, CompactionReport, Duration)
    case compactionFailed(CollectionName, ApusError)
}

/// Is told on a thread of the store, which it must not hold up.
package typealias CollectionObserver = @Sendable (CollectionEvent) -> Void
