import ApusErrors
import ApusTensor
import ApusVectors
import NIOConcurrencyHelpers
import Testing

@Suite struct EmbeddingCacheTests {
    private let scope = EmbeddingScope(model: "m", weights: "w", precision: .fp32, truncation: "right:256")
    private let value = CachedEmbedding(vector: [0.6, 0, 0.8], tokens: 4, originalTokens: 9)

    @Test func whatAVectorDependsOnBelongsToItsKey() {
        let scopes = [
            scope,
            EmbeddingScope(model: "mw", weights: "", precision: .fp32, truncation: "right:256"),
            EmbeddingScope(model: "m", weights: "x", precision: .fp32, truncation: "right:256"),
            EmbeddingScope(model: "m", weights: "w", precision: .bf16, truncation: "right:256"),
            EmbeddingScope(model: "m", weights: "w", precision: .fp32, truncation: "right:512"),
            EmbeddingScope(model: "m", weights: "w", precision: .fp32, truncation: "right:256", owner: "key 1"),
        ]
        // The second and third texts are one string to Swift: composed and decomposed.
        let texts = ["", "\u{e9}", "e\u{301}", "a\0", "a", "\0\0\0\0"]
        var keys = scopes.flatMap { scope in texts.map { scope.key(text: $0) } }
        keys += scopes.flatMap { [$0.key(tokens: []), $0.key(tokens: [0]), $0.key(tokens: [0, 0])] }
        #expect(Set(keys).count == 6 * 9)
        #expect(Set(keys.map(\.bytes)).count == 6 * 9 && keys.allSatisfy { $0.bytes.count == 32 })
        #expect(scope.key(text: "a") == EmbeddingScope(model: "m", weights: "w", precision: .fp32, truncation: "right:256").key(text: "a"))
    }

    @Test func aShorterVectorIsCutFromTheWholeOneAndNormalised() async throws {
        #expect(try value.vector(dimensions: 3) == [0.6, 0, 0.8])
        #expect(try value.vector(dimensions: 2) == [1, 0])
        #expect(try value.vector(dimensions: 1) == [1])
        #expect(try CachedEmbedding(vector: [0, 0, 1], tokens: 1, originalTokens: 1).vector(dimensions: 2) == [0, 0])
        for wrong in [0, -1, 4, .max] { await expectError(.invalidValue) { _ = try value.vector(dimensions: wrong) } }
    }

    @Test func aMissIsComputedOnceAndThenAHit() async throws {
        let cache = EmbeddingCache()
        let key = scope.key(text: "a")
        let first = try await cache.value(for: key) { () async throws(ApusError) in value }
        let second = try await cache.value(for: key) { () async throws(ApusError) in throw ApusError(.engineFailure, "must not run") }
        #expect(first == .init(value: value, source: .computed) && second == .init(value: value, source: .hit))
        #expect(cache.value(for: key) == value)
        cache.removeAll()
        #expect(cache.value(for: key) == nil)
        let statistics = cache.statistics
        #expect(statistics.hits == 2 && statistics.misses == 2 && statistics.entries == 0 && statistics.bytes == 0)
    }

    @Test func requestsInFlightWaitForTheFirst() async throws {
        let cache = EmbeddingCache()
        let key = scope.key(text: "a")
        let computed = NIOLockedValueBox(0)
        let sources = try await withThrowingTaskGroup(of: EmbeddingCache.Answer.Source.self) { group in
            for _ in 0..<20 {
                group.addTask {
                    try await cache.value(for: key) { () async throws(ApusError) in
                        computed.withLockedValue { $0 += 1 }
                        // Until all others have come.
                        while cache.statistics.joins < 19 { await Task.yield() }
                        return value
                    }.source
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(computed.withLockedValue { $0 } == 1)
        #expect(sources.filter { $0 == .joined }.count == 19 && sources.filter { $0 == .computed }.count == 1)
        #expect(cache.statistics.misses == 1)
    }

    @Test(arguments: [ApusError.Code.engineFailure, .cancelled, .overloaded])
    func aFailureIsNotCachedAndTheFirstRequestsOwnIsNotShared(code: ApusError.Code) async throws {
        let cache = EmbeddingCache()
        let key = scope.key(text: "a")
        let computed = NIOLockedValueBox(0)
        let outcomes = await withTaskGroup(of: Result<EmbeddingCache.Answer, ApusError>.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    do throws(ApusError) {
                        return .success(
                            try await cache.value(for: key) { () async throws(ApusError) in
                                let isFirst = computed.withLockedValue { count in
                                    count += 1
                                    return count == 1
                                }
                                guard isFirst else { return value }
                                while cache.statistics.joins < 7 { await Task.yield() }
                                throw ApusError(code, "the first fails")
                            })
                    } catch {
                        return .failure(error)
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        let failures = outcomes.filter { if case .failure(let error) = $0 { error.code == code } else { false } }
        #expect(failures.count == (code == .engineFailure ? 8 : 1))
        #expect(computed.withLockedValue { $0 } == (code == .engineFailure ? 1 : 2))
        #expect((cache.value(for: key) != nil) == (code != .engineFailure))
        let after = try await cache.value(for: key) { () async throws(ApusError) in value }
        #expect(after.value == value)
    }

    @Test func oneWhoStopsWaitingDoesNotDisturbTheOthers() async throws {
        let cache = EmbeddingCache()
        let key = scope.key(text: "a")
        let mayEnd = NIOLockedValueBox(false)
        let compute: @Sendable () async throws(ApusError) -> CachedEmbedding = { () async throws(ApusError) in
            while !mayEnd.withLockedValue({ $0 }) { await Task.yield() }
            return value
        }
        let leader = Task { try await cache.value(for: key, compute: compute).source }
        while cache.statistics.misses == 0 { await Task.yield() }
        let follower = Task { try await cache.value(for: key, compute: compute).source }
        let leaving = Task { try await cache.value(for: key, compute: compute).source }
        while cache.statistics.joins < 2 { await Task.yield() }
        leaving.cancel()
        await expectError(.cancelled) { _ = try await leaving.value }
        mayEnd.withLockedValue { $0 = true }
        #expect(try await leader.value == .computed)
        #expect(try await follower.value == .joined)
    }

    @Test func manyTasksAtOnceGetTheVectorOfTheirKey() async throws {
        let cache = EmbeddingCache(try CacheLimits(maxEntries: 50, maxBytes: 1 << 20))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    var noise = Noise(UInt64(task))
                    for _ in 0..<2000 {
                        let number = Int.random(in: 0..<100, using: &noise)
                        let answer = try await cache.value(for: scope.key(text: "\(number)")) { () async throws(ApusError) in
                            await Task.yield()
                            return CachedEmbedding(vector: [Float(number)], tokens: number, originalTokens: number)
                        }
                        #expect(answer.value.vector == [Float(number)] && answer.value.tokens == number)
                    }
                }
            }
            try await group.waitForAll()
        }
        let statistics = cache.statistics
        #expect(statistics.hits + statistics.misses + statistics.joins >= 16_000 && statistics.entries <= 50)
        #expect(statistics.insertions - statistics.evictions == statistics.entries)
    }

    @Test func limitsAreValidated() async {
        await expectError(.invalidConfiguration) { _ = try CacheLimits(maxEntries: -1, maxBytes: 1) }
        await expectError(.invalidConfiguration) { _ = try CacheLimits(maxEntries: 1, maxBytes: -1) }
        await expectError(.invalidConfiguration) { _ = try CacheLimits(maxEntries: .max, maxBytes: 1) }
    }
}
