package import ApusVectors
import NIOConcurrencyHelpers
import NIOCore

extension RedisCache {
    /// Entries and their bytes that may wait; more are dropped.
    private static let mostWrites = 4_096
    private static let mostWriteBytes = 32 << 20
    /// Entries that are written before others get their turn on the event loop.
    private static let turn = 32
    /// Entries that the server has not confirmed.
    private static let mostUnanswered = 256

    package func store(_ entries: [(key: EmbeddingKey, value: CachedEmbedding)]) {
        let mustStart = state.withLockedValue { state in
            for entry in entries {
                guard !state.breaker.isOpen, state.writes.count < Self.mostWrites, state.writeBytes + entry.value.cost <= Self.mostWriteBytes else {
                    state.statistics.drops += 1
                    continue
                }
                state.writes.append(entry)
                state.writeBytes += entry.value.cost
            }
            return !state.isDraining && !state.writes.isEmpty
        }
        if mustStart { drain() }
    }

    /// Sends what waits, some at a time.
    func drain() {
        let work = state.withLockedValue { state -> (channel: any Channel, entries: [(key: EmbeddingKey, value: CachedEmbedding)])? in
            state.isDraining = false
            guard let channel = state.channel, !state.writes.isEmpty, state.unansweredWrites < Self.mostUnanswered else { return nil }
            let entries = Array(state.writes.prefix(Self.turn))
            state.writes.removeFirst(entries.count)
            state.writeBytes -= entries.reduce(0) { $0 + $1.value.cost }
            state.unansweredWrites += entries.count
            state.isDraining = true
            return (channel, entries)
        }
        guard let (channel, entries) = work else { return }
        channel.eventLoop.execute {
            for entry in entries { self.write(entry.key, entry.value, channel) }
            channel.flush()
            self.drain()
        }
    }

    private func write(_ key: EmbeddingKey, _ value: CachedEmbedding, _ channel: any Channel) {
        guard let bytes = value.encoded(for: key) else {
            return state.withLockedValue { state in
                state.unansweredWrites -= 1
                state.statistics.drops += 1
            }
        }
        var command = [Array("SET".utf8), name(key), bytes]
        if let seconds = settings.expirySeconds { command += [Array("EX".utf8), Array("\(seconds)".utf8)] }
        let call = RedisCall(command, channel)
        call.answer.futureResult.whenComplete { result in
            let mustGoOn = self.state.withLockedValue { state in
                state.unansweredWrites -= 1
                switch result {
                case .success(.simple): state.statistics.writes += 1
                case .success, .failure:
                    state.statistics.drops += 1
                    state.statistics.failures += 1
                }
                return !state.isDraining && !state.writes.isEmpty
            }
            if mustGoOn { self.drain() }
        }
        channel.write(call, promise: nil)
    }
}
