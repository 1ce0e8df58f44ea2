package import ApusVectors
package import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// The cache that several servers share: a Redis or Valkey server.
///
/// Nothing that becomes of the server fails a request or holds it up for longer than ``RedisSettings/timeout``: what does not come in time is
/// computed, and after some such in a row nobody asks until the server, tried aside from all requests, answers again. Values are written behind,
/// from a bounded queue. What is read is trusted only after its length, version and checksum were checked (``CachedEmbedding``).
///
/// All commands go through one connection, several on their way at the same time: `AUTH`, `SELECT` and `PING` to begin with, then `MGET` and `SET`.
package final class RedisCache: SharedCache {
    struct State {
        var breaker = CircuitBreaker()
        /// Nil while there is no connection that answered.
        var channel: (any Channel)?
        var isClosed = false
        var unansweredReads = 0
        var writes: [(key: EmbeddingKey, value: CachedEmbedding)] = []
        var writeBytes = 0
        var unansweredWrites = 0
        var isDraining = false
        var statistics = StoreStatistics()
    }

    let settings: RedisSettings
    let logger: Logger
    let group: MultiThreadedEventLoopGroup
    let state = NIOLockedValueBox(State())

    /// Keys of one command.
    private static let chunk = 128
    /// Commands on their way; a server that has so many to answer is not asked more.
    private static let mostReads = 1_024

    /// Begins to connect, and does not wait for it.
    package init(_ settings: RedisSettings, logger: Logger) {
        self.settings = settings
        self.logger = logger
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        connect()
    }

    package var statistics: StoreStatistics { state.withLockedValue { $0.statistics } }

    package func values(for keys: [EmbeddingKey]) async -> [CachedEmbedding?] {
        let nothing = [CachedEmbedding?](repeating: nil, count: keys.count)
        let chunks = stride(from: 0, to: keys.count, by: Self.chunk).map { Array(keys[$0..<min($0 + Self.chunk, keys.count)]) }
        let channel = state.withLockedValue { state -> (any Channel)? in
            guard !state.breaker.isOpen, let channel = state.channel, state.unansweredReads + chunks.count <= Self.mostReads else { return nil }
            state.unansweredReads += chunks.count
            return channel
        }
        guard let channel, !keys.isEmpty else { return nothing }
        let answers = await ask(chunks, channel)
        var values: [CachedEmbedding?] = []
        var (hits, corruptions) = (0, 0)
        for (keys, answer) in zip(chunks, answers) {
            guard let answer else {
                values += [CachedEmbedding?](repeating: nil, count: keys.count)
                continue
            }
            for (key, element) in zip(keys, answer) {
                guard case .bulk(let bytes) = element else {
                    values.append(nil)
                    continue
                }
                let value = CachedEmbedding(encoded: bytes, for: key)
                if value == nil { corruptions += 1 } else { hits += 1 }
                values.append(value)
            }
        }
        state.withLockedValue { state in
            state.statistics.hits += hits
            state.statistics.misses += keys.count - hits
            state.statistics.corruptions += corruptions
        }
        return values.count == keys.count ? values : nothing
    }

    /// The answer to each chunk, nil for those that failed or did not come in time.
    private func ask(_ chunks: [[EmbeddingKey]], _ channel: any Channel) async -> [[RESPValue]?] {
        let answers = Answers(count: chunks.count)
        let failure: String? = await withCheckedContinuation { continuation in
            let first = NIOLockedValueBox<CheckedContinuation<String?, Never>?>(continuation)
            let finish: @Sendable (String?) -> Void = { failure in
                first.withLockedValue { first in
                    defer { first = nil }
                    return first
                }?.resume(returning: failure)
            }
            let timeout = TimeAmount.nanoseconds(Int64(settings.timeout / .nanoseconds(1)))
            channel.eventLoop.execute {
                let timer = channel.eventLoop.scheduleTask(in: timeout) { finish("it does not answer within \(self.settings.timeout)") }
                for (number, keys) in chunks.enumerated() {
                    let call = RedisCall([Array("MGET".utf8)] + keys.map { self.name($0) }, channel)
                    call.answer.futureResult.whenComplete { result in
                        self.state.withLockedValue { $0.unansweredReads -= 1 }
                        switch result {
                        case .success(.array(let elements)) where elements.count == keys.count:
                            if answers.put(elements, at: number) {
                                timer.cancel()
                                finish(nil)
                            }
                        case .success(.error(let text)):
                            timer.cancel()
                            finish("it refuses: \(text.prefix(200))")
                        case .success:
                            timer.cancel()
                            finish("it answers something else than was asked")
                            channel.close(promise: nil)
                        case .failure(let error):
                            timer.cancel()
                            finish("the connection failed: \(error)")
                        }
                    }
                    channel.write(call, promise: nil)
                }
                channel.flush()
            }
        }
        judge(failure, channel)
        return answers.all
    }

    /// Draws the consequences of how a request went.
    private func judge(_ failure: String?, _ channel: any Channel) {
        let isOver = state.withLockedValue { state in
            guard failure != nil else {
                state.breaker.succeeded()
                return false
            }
            state.statistics.failures += 1
            return state.breaker.failed()
        }
        guard isOver, let failure else { return }
        disconnected(channel, failure)
        channel.close(promise: nil)
    }

    /// An entry's name on the server.
    func name(_ key: EmbeddingKey) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return Array("\(settings.prefix)embedding:1:".utf8) + key.bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    }

    /// The answers of one request as they come.
    private final class Answers: Sendable {
        private let state: NIOLockedValueBox<(answers: [[RESPValue]?], missing: Int)>

        init(count: Int) {
            state = NIOLockedValueBox(([[RESPValue]?](repeating: nil, count: count), count))
        }

        var all: [[RESPValue]?] { state.withLockedValue { $0.answers } }

        /// True for the last.
        func put(_ answer: [RESPValue], at number: Int) -> Bool {
            state.withLockedValue { state in
                state.answers[number] = answer
                state.missing -= 1
                return state.missing == 0
            }
        }
    }
}
