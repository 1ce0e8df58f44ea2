/// Takes down what a cache holds, so that it can be had again after a restart. Nothing of it throws and nothing of it waits but what says so: a
/// cache that cannot be written down is still a cache.
package protocol CacheJournal: Sendable {
    /// Begins to give `cache` what was kept before, by ``EmbeddingCache/restore(_:for:)``, in the order in which it came.
    func open(for cache: EmbeddingCache)

    /// What changed, in order. Called under the cache's lock: returns at once and does not call the cache.
    func record(inserted: (key: EmbeddingKey, value: CachedEmbedding)?, removed: [EmbeddingKey])

    /// Waits until everything that was kept is in the cache, or is known not to come.
    func waitUntilRestored() async

    /// Writes what is not written yet, and ends.
    func close() async

    var statistics: StoreStatistics { get }
}

/// A cache that several programs use, slower than memory and faster than computing.
package protocol SharedCache: Sendable {
    /// One answer for each key, nil for those that are not there. Never later than the store's own time budget, whatever happens to it.
    func values(for keys: [EmbeddingKey]) async -> [CachedEmbedding?]

    /// Passes values on. Returns at once; what there is no room for is dropped.
    func store(_ entries: [(key: EmbeddingKey, value: CachedEmbedding)])

    func close() async

    var statistics: StoreStatistics { get }
}

/// What a store behind the memory did, and what it holds.
package struct StoreStatistics: Sendable, Equatable {
    /// Whether it is used now.
    package var isAvailable = false
    /// Why not, in one sentence; nil while it is.
    package var trouble: String?
    package var hits = 0
    package var misses = 0
    /// Entries written.
    package var writes = 0
    /// Entries that were not written because there was no room or no store.
    package var drops = 0
    /// Entries that were read and were not what they should be.
    package var corruptions = 0
    /// Calls that failed, those that took too long among them.
    package var failures = 0
    /// nil where others count.
    package var entries: Int?
    package var bytes: Int?

    package init() {}
}
