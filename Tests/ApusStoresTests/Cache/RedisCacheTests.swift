import ApusErrors
import ApusStores
import ApusTensor
import ApusVectors
import Logging
import Testing

@Suite(.timeLimit(.minutes(1)), .serialized) struct RedisCacheTests {
    private let scope = EmbeddingScope(model: "m", weights: "w", files: "f", precision: .fp32, truncation: "right:256")

    private func entry(_ number: Int) -> (key: EmbeddingKey, value: CachedEmbedding) {
        (
            scope.key(text: "text \(number)"),
            CachedEmbedding(vector: [Float(number), 0.5], tokens: number, originalTokens: number, device: DeviceID(.cpu, 0))
        )
    }

    private func cache(_ url: String, timeout: Duration = .seconds(1), expiry: Duration? = nil) throws -> RedisCache {
        RedisCache(
            try RedisSettings(url: url, timeout: timeout, expiry: expiry, prefix: "test:"),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func wait(for condition: () -> Bool) async throws {
        while !condition() { try await Task.sleep(for: .milliseconds(2)) }
    }

    @Test func severalProgramsShareWhatOneComputed() async throws {
        let server = try await FakeRedis(.honest)
        let (one, other) = (try cache(server.url), try cache(server.url, expiry: .seconds(60)))
        try await wait { one.statistics.isAvailable && other.statistics.isAvailable }
        let entries = (0..<1000).map { entry($0) }
        one.store(entries)
        try await wait { one.statistics.writes == 1000 }
        let unknown = scope.key(text: "unknown")
        let values = await other.values(for: entries.map(\.key) + [unknown])
        #expect(values == entries.map { Optional($0.value) } + [nil])
        #expect(other.statistics.hits == 1000 && other.statistics.misses == 1 && other.statistics.failures == 0)
        other.store([entry(2000)])
        try await wait { other.statistics.writes == 1 }
        #expect(server.values.keys.allSatisfy { $0.starts(with: "test:embedding:1:".utf8) && $0.count == 17 + 64 })
        await one.close()
        await other.close()
        try await server.close()
    }

    @Test func anEntryThatWasTamperedWithIsNone() async throws {
        let server = try await FakeRedis(.honest)
        let cache = try cache(server.url)
        try await wait { cache.statistics.isAvailable }
        cache.store([entry(1), entry(2)])
        try await wait { cache.statistics.writes == 2 }
        server.overwrite { $0.dropLast() + [$0[$0.count - 1] ^ 1] }
        #expect(await cache.values(for: [entry(1).key, entry(2).key]) == [nil, nil])
        #expect(cache.statistics.corruptions == 2 && cache.statistics.isAvailable)
        await cache.close()
        try await server.close()
    }

    /// What a server that is none, or of another mind, may say to a question for two values.
    private static let nonsense = [
        "+OK\r\n", ":7\r\n", "$-1\r\n", "*-1\r\n", "*0\r\n", "*1\r\n$-1\r\n", "*3\r\n$-1\r\n$-1\r\n$-1\r\n", "-WRONGTYPE no\r\n", "-LOADING wait\r\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n", "\r\n", "\0\0\0\0\0\0\0\0", "*2\r\n$999999999\r\n", "*2\r\n$-7\r\n", "*99999999\r\n", "*2\r\n$3\r\nabcd\r\n$-1\r\n",
        "$x\r\n", ":--1\r\n", "*2\n", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "+\(String(repeating: "a", count: 10_000))", "*2\r\n:1\r\n+x\r\n",
        "*2\r\n*0\r\n_\r\n", "+A\r\n+B\r\n+C\r\n", "%1\r\n+a\r\n+b\r\n",
    ]

    @Test(arguments: nonsense) func nonsenseIsNoValueAndDoesNotEndAnything(answer: String) async throws {
        let server = try await FakeRedis(.saying(answer))
        let cache = try cache(server.url)
        try await wait { cache.statistics.isAvailable }
        for _ in 0..<3 { #expect(await cache.values(for: [entry(1).key, entry(2).key]) == [nil, nil]) }
        cache.store([entry(1)])
        #expect(cache.statistics.hits == 0)
        // Once the server speaks as it should, it is used.
        server.set(.honest)
        try await wait { cache.statistics.isAvailable }
        while await cache.values(for: [entry(1).key]) != [entry(1).value] {
            cache.store([entry(1)])
            try await Task.sleep(for: .milliseconds(20))
        }
        await cache.close()
        try await server.close()
    }

    @Test func aServerThatFallsSilentIsWaitedForThreeTimesAndThenLeftAlone() async throws {
        let server = try await FakeRedis(.muteAfterGreeting)
        let cache = try cache(server.url, timeout: .milliseconds(20))
        try await wait { cache.statistics.isAvailable }
        for _ in 0..<50 { #expect(await cache.values(for: [entry(1).key]) == [nil]) }
        let questions = server.commands.count { $0.first == "MGET" }
        #expect(questions == 3 && !cache.statistics.isAvailable && cache.statistics.failures == 3)
        server.set(.honest)
        try await wait { cache.statistics.isAvailable }
        cache.store([entry(1)])
        try await wait { cache.statistics.writes == 1 }
        await cache.close()
        try await server.close()
    }

    @Test func aLateAnswerIsNotTakenForAnothersQuestion() async throws {
        let server = try await FakeRedis(.honest)
        let cache = try cache(server.url, timeout: .milliseconds(500))
        try await wait { cache.statistics.isAvailable }
        let entries = (0..<64).map { entry($0) }
        cache.store(entries)
        try await wait { cache.statistics.writes == 64 }
        await withTaskGroup(of: Void.self) { group in
            for entry in entries { group.addTask { await ask(cache, for: entry) } }
        }
        await cache.close()
        try await server.close()
    }

    private func ask(_ cache: RedisCache, for entry: (key: EmbeddingKey, value: CachedEmbedding)) async {
        for _ in 0..<20 {
            let values = await cache.values(for: [entry.key])
            // Outside of the macro, within which Swift 6.3.1 compares something else here.
            let isRight = values == [nil] || values == [entry.value]
            #expect(isRight)
        }
    }

    @Test(arguments: [FakeRedis.Manner.mute, .hangingUp, .blurting("+hello\r\n"), .blurting("SSH-2.0-OpenSSH_9.2\r\n")])
    func nobodyWaitsForAServerThatIsNone(manner: FakeRedis.Manner) async throws {
        let server = try await FakeRedis(manner)
        let cache = try cache(server.url)
        for _ in 0..<20 {
            #expect(await cache.values(for: [entry(1).key]) == [nil])
            cache.store([entry(1)])
        }
        #expect(cache.statistics.writes == 0)
        await cache.close()
        try await server.close()
    }

    @Test func whereNobodyListensThereIsNoValueAndTroubleIsTold() async throws {
        let server = try await FakeRedis(.honest)
        let url = server.url
        try await server.close()
        let cache = try cache(url)
        #expect(await cache.values(for: [entry(1).key]) == [nil])
        try await wait { cache.statistics.trouble != nil }
        cache.store([entry(1)])
        #expect(cache.statistics.drops == 1 && !cache.statistics.isAvailable)
        await cache.close()
    }

    @Test func passwordsAndDatabasesAreTold() async throws {
        let server = try await FakeRedis(.wanting("se:cret/ü"))
        let right = try cache("redis://:se%3Acret%2F%C3%BC@127.0.0.1:\(server.port)/3")
        try await wait { right.statistics.isAvailable }
        #expect(server.commands == [["AUTH", "se:cret/ü"], ["SELECT", "3"], ["PING"]])
        let wrong = try cache("redis://user:wrong@127.0.0.1:\(server.port)")
        try await wait { wrong.statistics.trouble != nil }
        #expect(wrong.statistics.trouble?.contains("WRONGPASS") == true)
        #expect(server.commands.contains(["AUTH", "user", "wrong"]))
        await right.close()
        await wrong.close()
        try await server.close()
    }

    @Test(arguments: [
        "", "localhost:6379", "http://localhost", "rediss://localhost", "redis://", "redis://localhost:99999", "redis://localhost/x",
        "redis://localhost/-1", "redis://localhost/1?x=y", "redis://user@localhost", "redis://localhost:0",
    ])
    func addressesThatCannotBeMeantAreRefused(url: String) {
        #expect { try RedisSettings(url: url, timeout: .milliseconds(10), expiry: nil, prefix: "") } throws: {
            ($0 as? ApusError)?.code == .invalidConfiguration
        }
    }
}
