import ApusErrors
import ApusTensor
import ApusVectors
import NIOConcurrencyHelpers
import Testing

/// Takes down what it is told.
private final class Notebook: CacheJournal {
    let lines = NIOLockedValueBox<[String]>([])
    let kept: [(EmbeddingKey, CachedEmbedding)]

    init(kept: [(EmbeddingKey, CachedEmbedding)] = []) { self.kept = kept }

    func open(for cache: EmbeddingCache) {
        for (key, value) in kept { cache.restore(value, for: key) }
    }

    func record(inserted: (key: EmbeddingKey, value: CachedEmbedding)?, removed: [EmbeddingKey]) {
        lines.withLockedValue { lines in
            lines += removed.map { "- \($0.bytes[0])" }
            if let inserted { lines.append("+ \(inserted.key.bytes[0]) \(inserted.value.tokens)") }
        }
    }

    func waitUntilRestored() async {}
    func close() async {}
    var statistics: StoreStatistics { StoreStatistics() }
}

@Suite struct EmbeddingCacheTests {
    private let scope = EmbeddingScope(model: "m", weights: "w", files: "f", precision: .fp32, truncation: "right:256")
    private let value = CachedEmbedding(vector: [0.6, 0, 0.8], tokens: 4, originalTokens: 9, device: DeviceID(.cpu, 0))

    @Test func whatAVectorDependsOnBelongsToItsKey() {
        let scopes = [
            scope,
            EmbeddingScope(model: "mw", weights: "", files: "f", precision: .fp32, truncation: "right:256"),
            EmbeddingScope(model: "m", weights: "x", files: "f", precision: .fp32, truncation: "right:256"),
            EmbeddingScope(model: "m", weights: "w", files: "g", precision: .fp32, truncation: "right:256"),
            EmbeddingScope(model: "m", weights: "w", files: "f", precision: .bf16, truncation: "right:256"),
            EmbeddingScope(model: "m", weights: "w", files: "f", precision: .fp32, truncation: "right:512"),
            EmbeddingScope(model: "m", weights: "w", files: "f", precision: .fp32, truncation: "right:256", owner: "key 1"),
        ]
        // The second and third texts are one string to Swift: composed and decomposed.
        let texts = ["", "\u{e9}", "e\u{301}", "a\0", "a", "\0\0\0\0"]
        var keys = scopes.flatMap { scope in texts.map { scope.key(text: $0) } }
        keys += scopes.flatMap { [$0.key(tokens: []), $0.key(tokens: [0]), $0.key(tokens: [0, 0])] }
        #expect(Set(keys).count == 7 * 9)
        #expect(Set(keys.map(\.bytes)).count == 7 * 9 && keys.allSatisfy { $0.bytes.count == EmbeddingKey.byteCount })
        #expect(
            scope.key(text: "a") == EmbeddingScope(model: "m", weights: "w", files: "f", precision: .fp32, truncation: "right:256").key(text: "a"))
    }

    @Test func aKeyComesBackFromItsBytesAndFromNothingElse() {
        let key = scope.key(text: "a")
        #expect(EmbeddingKey(bytes: key.bytes) == key)
        #expect(EmbeddingKey(bytes: key.bytes.dropLast()) == nil && EmbeddingKey(bytes: key.bytes + [0]) == nil)
    }

    @Test func whatIsStoredIsAHitAndCounted() {
        let cache = EmbeddingCache()
        let key = scope.key(text: "a")
        #expect(cache.value(for: key) == nil)
        cache.store(value, for: key)
        #expect(cache.value(for: key) == value && cache.value(for: scope.key(text: "b")) == nil)
        let statistics = cache.statistics
        #expect(statistics.hits == 1 && statistics.misses == 2 && statistics.entries == 1 && statistics.bytes == value.cost)
    }

    @Test func aJournalLearnsOfEveryChangeInItsOrder() throws {
        let journal = Notebook()
        let cache = EmbeddingCache(try CacheLimits(maxEntries: 2, maxBytes: 1 << 20), journal: journal)
        let keys = ["a", "b", "c"].map { scope.key(text: $0) }
        for (number, key) in keys.enumerated() {
            cache.store(CachedEmbedding(vector: [1], tokens: number, originalTokens: number, device: DeviceID(.cpu, 0)), for: key)
        }
        let names = keys.map { $0.bytes[0] }
        #expect(journal.lines.withLockedValue { $0 } == ["+ \(names[0]) 0", "+ \(names[1]) 1", "- \(names[0])", "+ \(names[2]) 2"])
    }

    @Test func whatAJournalKeptIsThereAndNotToldToItAgain() throws {
        let keys = ["a", "b", "c"].map { scope.key(text: $0) }
        let journal = Notebook(kept: keys.map { ($0, value) })
        let cache = EmbeddingCache(try CacheLimits(maxEntries: 2, maxBytes: 1 << 20), journal: journal)
        #expect(cache.value(for: keys[0]) == nil && cache.value(for: keys[1]) == value && cache.value(for: keys[2]) == value)
        // Limits were lowered: what has no room any more is to go from the file, too.
        #expect(journal.lines.withLockedValue { $0 } == ["- \(keys[0].bytes[0])"])
        let newer = CachedEmbedding(vector: [0, 1, 0], tokens: 1, originalTokens: 1, device: DeviceID(.cuda, 0))
        cache.store(newer, for: keys[1])
        cache.restore(value, for: keys[1])
        #expect(cache.value(for: keys[1]) == newer)
    }

    @Test func manyTasksAtOnceGetTheVectorOfTheirKey() async throws {
        let cache = EmbeddingCache(try CacheLimits(maxEntries: 50, maxBytes: 1 << 20))
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    var noise = Noise(UInt64(task))
                    for _ in 0..<2000 {
                        let number = Int.random(in: 0..<100, using: &noise)
                        let key = scope.key(text: "\(number)")
                        if let found = cache.value(for: key) {
                            #expect(found.vector == [Float(number)] && found.tokens == number)
                        } else {
                            await Task.yield()
                            cache.store(
                                CachedEmbedding(
                                    vector: [Float(number)], tokens: number, originalTokens: number, device: DeviceID(.cpu, 0)), for: key)
                        }
                    }
                }
            }
        }
        let statistics = cache.statistics
        #expect(statistics.hits + statistics.misses == 16_000 && statistics.entries <= 50)
        #expect(statistics.insertions - statistics.evictions >= statistics.entries)
    }

    @Test func limitsAreValidated() async {
        await expectError(.invalidConfiguration) { _ = try CacheLimits(maxEntries: -1, maxBytes: 1) }
        await expectError(.invalidConfiguration) { _ = try CacheLimits(maxEntries: 1, maxBytes: -1) }
        await expectError(.invalidConfiguration) { _ = try CacheLimits(maxEntries: .max, maxBytes: 1) }
    }
}
