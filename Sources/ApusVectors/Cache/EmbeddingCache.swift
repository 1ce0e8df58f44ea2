import NIOConcurrencyHelpers

/// Vectors of texts that were embedded before: in memory, and behind it what a program was given, a store that outlives it (``CacheJournal``)
/// and a store that it shares with others (``SharedCache``).
///
/// An embedder asks with ``value(for:)`` and gives what it computed to ``store(_:for:)``. Equal inputs that are on their way at the same time
/// are no matter of the cache: the scheduler computes them once, and each who waits keeps a deadline and a cancellation of its own.
package final class EmbeddingCache: Sendable {
    private struct State {
        var store: SieveStore<EmbeddingKey, CachedEmbedding>
        var statistics = CacheStatistics()

        /// The keys that made room; nil for a value that is too large.
        mutating func insert(_ value: CachedEmbedding, for key: EmbeddingKey) -> [EmbeddingKey]? {
            guard let evicted = store.insert(value, for: key, cost: value.cost) else {
                statistics.refusals += 1
                return nil
            }
            statistics.insertions += 1
            statistics.evictions += evicted.count
            return evicted
        }
    }

    package let limits: CacheLimits
    /// Nil where nothing outlives the program.
    package let journal: (any CacheJournal)?
    /// Nil where nothing is shared.
    package let shared: (any SharedCache)?
    private let state: NIOLockedValueBox<State>

    package init(_ limits: CacheLimits = .standard, journal: (any CacheJournal)? = nil, shared: (any SharedCache)? = nil) {
        self.limits = limits
        self.journal = journal
        self.shared = shared
        state = NIOLockedValueBox(State(store: SieveStore(maxEntries: limits.maxEntries, maxCost: limits.maxBytes)))
        journal?.open(for: self)
    }

    package var statistics: CacheStatistics {
        state.withLockedValue { state in
            var statistics = state.statistics
            (statistics.entries, statistics.bytes) = (state.store.count, state.store.cost)
            return statistics
        }
    }

    /// The cached vector; counts as a hit or a miss.
    package func value(for key: EmbeddingKey) -> CachedEmbedding? {
        state.withLockedValue { state in
            let value = state.store.value(for: key)
            if value != nil { state.statistics.hits += 1 } else { state.statistics.misses += 1 }
            return value
        }
    }

    /// Keeps a vector, evicting others when there is no room.
    package func store(_ value: CachedEmbedding, for key: EmbeddingKey) {
        state.withLockedValue { state in
            guard let evicted = state.insert(value, for: key) else { return }
            // Under the lock, so that the journal learns of changes in their order; it only takes them down.
            journal?.record(inserted: (key, value), removed: evicted)
        }
    }

    /// Keeps what a journal has kept: nothing that is there already, and nothing that the journal would have to be told.
    package func restore(_ value: CachedEmbedding, for key: EmbeddingKey) {
        state.withLockedValue { state in
            guard !state.store.contains(key), let evicted = state.insert(value, for: key), !evicted.isEmpty else { return }
            journal?.record(inserted: nil, removed: evicted)
        }
    }

    /// Waits until what the journal had kept is there.
    package func waitUntilRestored() async { await journal?.waitUntilRestored() }

    /// Writes down what is not yet, and lets go of files and connections.
    package func close() async {
        await journal?.close()
        await shared?.close()
    }
}
