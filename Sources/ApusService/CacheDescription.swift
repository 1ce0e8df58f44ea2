/// What an operator is told about the embedding cache.
package struct CacheDescription: Sendable, Equatable {
    /// A store behind the memory.
    package struct Store: Sendable, Equatable {
        /// `disk` or `redis`.
        package var level: String
        package var isAvailable: Bool
        /// Why it is done without, one sentence.
        package var trouble: String?
        package var writes: Int
        package var drops: Int

        package init(level: String, isAvailable: Bool, trouble: String?, writes: Int, drops: Int) {
            self.level = level
            self.isAvailable = isAvailable
            self.trouble = trouble
            self.writes = writes
            self.drops = drops
        }
    }

    package var entries: Int
    package var maxEntries: Int
    package var bytes: Int
    package var maxBytes: Int
    package var hits: Int
    package var misses: Int
    package var evictions: Int
    package var stores: [Store]

    package init(
        entries: Int, maxEntries: Int, bytes: Int, maxBytes: Int, hits: Int, misses: Int, evictions: Int, stores: [Store] = []
    ) {
        self.entries = entries
        self.maxEntries = maxEntries
        self.bytes = bytes
        self.maxBytes = maxBytes
        self.hits = hits
        self.misses = misses
        self.evictions = evictions
        self.stores = stores
    }
}
