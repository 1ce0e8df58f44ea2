import ApusService
import ApusVectors

extension CacheDescription {
    init(_ cache: EmbeddingCache) {
        let statistics = cache.statistics
        self.init(
            entries: statistics.entries, maxEntries: cache.limits.maxEntries, bytes: statistics.bytes, maxBytes: cache.limits.maxBytes,
            hits: statistics.hits, misses: statistics.misses, evictions: statistics.evictions)
        if let journal = cache.journal { stores.append(Store("disk", journal.statistics)) }
        if let shared = cache.shared { stores.append(Store("redis", shared.statistics)) }
    }
}

extension CacheDescription.Store {
    fileprivate init(_ level: String, _ statistics: StoreStatistics) {
        self.init(
            level: level, isAvailable: statistics.isAvailable, trouble: statistics.trouble, writes: statistics.writes, drops: statistics.drops)
    }
}
