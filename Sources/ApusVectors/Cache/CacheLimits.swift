package import ApusErrors

/// How much an embedding cache keeps: a validated value.
package struct CacheLimits: Sendable, Hashable {
    package let maxEntries: Int
    package let maxBytes: Int

    /// 0 entries or bytes: nothing is kept. Throws `invalid_configuration` for negative limits and more than 2^31 entries.
    package init(maxEntries: Int, maxBytes: Int) throws(ApusError) {
        guard (0...1 << 31).contains(maxEntries), maxBytes >= 0 else {
            throw ApusError(.invalidConfiguration, "a cache has 0 to 2^31 entries and not a negative number of bytes", place: "cache")
        }
        self.init(entries: maxEntries, bytes: maxBytes)
    }

    private init(entries: Int, bytes: Int) {
        (maxEntries, maxBytes) = (entries, bytes)
    }

    /// 100,000 entries and 256 MiB: room for all of them up to 640 dimensions.
    package static let standard = CacheLimits(entries: 100_000, bytes: 256 << 20)
}

/// What a cache did since it was made, and what it holds.
package struct CacheStatistics: Sendable, Equatable {
    package var hits = 0
    package var misses = 0
    package var insertions = 0
    /// Entries that made room for others.
    package var evictions = 0
    /// Vectors that were larger than the whole cache may be.
    package var refusals = 0
    package var entries = 0
    /// By ``CachedEmbedding/cost``.
    package var bytes = 0

    package init() {}
}
