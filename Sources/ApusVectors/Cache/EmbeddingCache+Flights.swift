package import ApusErrors
import NIOConcurrencyHelpers

extension EmbeddingCache {
    /// A vector and where it came from.
    package struct Answer: Sendable, Equatable {
        package enum Source: Sendable {
            case hit
            /// Another request was computing it.
            case joined
            case computed
        }

        package let value: CachedEmbedding
        package let source: Source

        package init(value: CachedEmbedding, source: Source) {
            (self.value, self.source) = (value, source)
        }
    }

    private enum Turn {
        case hit(CachedEmbedding)
        case lead(flight: Int)
        case join(flight: Int)
    }

    /// The vector of `key`: cached, from the request that computes it now, or from `compute`, whose result is then cached.
    ///
    /// Throws what `compute` throws; nothing is cached then. Those that waited get the error, too, unless it was the first request's own
    /// (`cancelled`, `deadline_exceeded`, `overloaded`, `rate_limit_exceeded`): then one of them computes. Throws `cancelled` when the surrounding
    /// task is while it waits.
    package func value(
        for key: EmbeddingKey, compute: () async throws(ApusError) -> CachedEmbedding
    ) async throws(ApusError) -> Answer {
        while true {
            switch turn(for: key) {
            case .hit(let value):
                return Answer(value: value, source: .hit)
            case .lead(let flight):
                do throws(ApusError) {
                    let value = try await compute()
                    finish(key, flight, .success(value))
                    return Answer(value: value, source: .computed)
                } catch {
                    finish(key, flight, .failure(error))
                    throw error
                }
            case .join(let flight):
                switch await outcome(of: key, flight) {
                case .success(let value): return Answer(value: value, source: .joined)
                case .failure(let error):
                    if Task.isCancelled { throw Self.cancelled }
                    if !Self.callersOwn.contains(error.code) { throw error }
                case nil: break
                }
            }
        }
    }

    private static let callersOwn: Set<ApusError.Code> = [.cancelled, .deadlineExceeded, .overloaded, .rateLimitExceeded]

    private static var cancelled: ApusError { ApusError(.cancelled, "the caller gave up before the vector was ready") }

    private func turn(for key: EmbeddingKey) -> Turn {
        state.withLockedValue { state in
            if let value = state.store.value(for: key) {
                state.statistics.hits += 1
                return .hit(value)
            }
            if let flight = state.flights[key] { return .join(flight: flight.id) }
            state.statistics.misses += 1
            let id = state.nextID()
            state.flights[key] = Flight(id: id)
            return .lead(flight: id)
        }
    }

    private func finish(_ key: EmbeddingKey, _ flight: Int, _ outcome: Outcome) {
        let waiters = state.withLockedValue { state in
            if case .success(let value) = outcome { state.insert(value, for: key) }
            guard state.flights[key]?.id == flight else { return [Waiter]() }
            return state.flights.removeValue(forKey: key).map { Array($0.waiters.values) } ?? []
        }
        for waiter in waiters { waiter.resume(returning: outcome) }
    }

    /// Nil when the flight ended before it could be waited for.
    private func outcome(of key: EmbeddingKey, _ flight: Int) async -> Outcome? {
        let id = state.withLockedValue { $0.nextID() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { (waiter: Waiter) in
                // The task is marked as cancelled before its handler runs: whichever takes the lock first, one of the two sees the other.
                let isWaiting = state.withLockedValue { state in
                    guard state.flights[key]?.id == flight, !Task.isCancelled else { return false }
                    state.flights[key]?.waiters[id] = waiter
                    state.statistics.joins += 1
                    return true
                }
                if !isWaiting { waiter.resume(returning: Task.isCancelled ? .failure(Self.cancelled) : nil) }
            }
        } onCancel: {
            let waiter = state.withLockedValue { state in
                state.flights[key]?.id == flight ? state.flights[key]?.waiters.removeValue(forKey: id) : nil
            }
            waiter?.resume(returning: .failure(Self.cancelled))
        }
    }
}
