import ApusErrors
import NIOConcurrencyHelpers

/// Vectors of texts that were embedded before, in memory.
///
/// An embedder whose batches compute equal inputs once anyway asks with ``value(for:)`` and gives what it computed to
/// ``store(_:for:)``. Whoever has nothing of the kind (a second level that is far away, a library user) asks with ``value(for:compute:)``, by
/// which equal keys in flight are computed once.
package final class EmbeddingCache: Sendable {
    typealias Outcome = Result<CachedEmbedding, ApusError>
    typealias Waiter = CheckedContinuation<Outcome?, Never>

    struct State {
        var store: SieveStore<EmbeddingKey, CachedEmbedding>
        var statistics = CacheStatistics()
        var flights: [EmbeddingKey: Flight] = [:]
        var lastID = 0

        mutating func nextID() -> Int {
            lastID += 1
            return lastID
        }

        mutating func insert(_ value: CachedEmbedding, for key: EmbeddingKey) {
            if let evicted = store.insert(value, for: key, cost: value.cost) {
                statistics.insertions += 1
                statistics.evictions += evicted
            } else {
                statistics.refusals += 1
            }
        }
    }

    /// A computation that others may wait for.
    struct Flight {
        let id: Int
        var waiters: [Int: Waiter] = [:]
    }

    package let limits: CacheLimits
    let state: NIOLockedValueBox<State>

    package init(_ limits: CacheLimits = .standard) {
        self.limits = limits
        state = NIOLockedValueBox(State(store: SieveStore(maxEntries: limits.maxEntries, maxCost: limits.maxBytes)))
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
        state.withLockedValue { $0.insert(value, for: key) }
    }

    /// Forgets all vectors; the statistics go on.
    package func removeAll() {
        state.withLockedValue { $0.store.removeAll() }
    }
}
