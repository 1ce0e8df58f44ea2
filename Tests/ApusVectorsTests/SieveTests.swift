import ApusErrors
import ApusTensor
import ApusVectors
import Testing

/// SIEVE as the paper tells it, over a plain array: the newest last.
private struct SieveModel {
    var entries: [(key: Int, cost: Int, isVisited: Bool)] = []
    /// The key that the hand points to; nil for the oldest.
    var hand: Int?
    let maxEntries: Int
    let maxCost: Int
    var evictions = 0

    mutating func get(_ key: Int) -> Bool {
        guard let index = entries.firstIndex(where: { $0.key == key }) else { return false }
        entries[index].isVisited = true
        return true
    }

    mutating func put(_ key: Int, cost: Int) {
        remove(key)
        guard cost <= maxCost, maxEntries > 0 else { return }
        while entries.count >= maxEntries || entries.reduce(cost, { $0 + $1.cost }) > maxCost {
            var index = hand.flatMap { hand in entries.firstIndex { $0.key == hand } } ?? 0
            while entries[index].isVisited {
                entries[index].isVisited = false
                index = (index + 1) % entries.count
            }
            hand = entries[index].key
            remove(entries[index].key)
            evictions += 1
        }
        entries.append((key, cost, false))
    }

    mutating func remove(_ key: Int) {
        guard let index = entries.firstIndex(where: { $0.key == key }) else { return }
        if hand == key { hand = index + 1 < entries.count ? entries[index + 1].key : nil }
        entries.remove(at: index)
    }
}

@Suite struct SieveTests {
    private let scope = EmbeddingScope(model: "m", weights: "w", files: "f", precision: .fp32, truncation: "right:256")

    @Test(arguments: 0..<40)
    func theCacheKeepsExactlyWhatTheModelKeeps(seed: Int) throws {
        var noise = Noise(UInt64(seed))
        let maxEntries = Int.random(in: 0...40, using: &noise), maxCost = Int.random(in: 0...40 * 400, using: &noise)
        let cache = EmbeddingCache(try CacheLimits(maxEntries: maxEntries, maxBytes: maxCost))
        var model = SieveModel(maxEntries: maxEntries, maxCost: maxCost)
        var (hits, misses) = (0, 0)
        let keys = (0..<80).map { scope.key(text: "text \($0)") }
        for step in 0..<3000 {
            // Some keys are asked for much more often.
            let key = Int.random(in: 0..<80, using: &noise) * Int.random(in: 0..<80, using: &noise) / 80
            if Bool.random(using: &noise) {
                let isThere = model.get(key)
                if isThere { hits += 1 } else { misses += 1 }
                #expect((cache.value(for: keys[key]) != nil) == isThere, "step \(step)")
            } else {
                let value = CachedEmbedding(vector: noise.floats(Int.random(in: 1...100, using: &noise)), tokens: step, originalTokens: step, device: DeviceID(.cpu, 0))
                cache.store(value, for: keys[key])
                model.put(key, cost: value.cost)
            }
            let statistics = cache.statistics
            #expect(statistics.entries == model.entries.count && statistics.entries <= maxEntries)
            #expect(statistics.bytes == model.entries.reduce(0) { $0 + $1.cost } && statistics.bytes <= maxCost)
            #expect(statistics.hits == hits && statistics.misses == misses && statistics.evictions == model.evictions)
        }
    }

    @Test func textsThatAreAskedAgainSurviveALongScan() {
        let cache = EmbeddingCache(.standard)
        let value = CachedEmbedding(vector: [1], tokens: 1, originalTokens: 1, device: DeviceID(.cpu, 0))
        for hot in 0..<1000 { cache.store(value, for: scope.key(text: "hot \(hot)")) }
        for cold in 0..<250_000 {
            cache.store(value, for: scope.key(text: "cold \(cold)"))
            _ = cache.value(for: scope.key(text: "hot \(cold % 1000)"))
        }
        #expect((0..<1000).allSatisfy { cache.value(for: scope.key(text: "hot \($0)")) != nil })
        #expect(cache.statistics.entries == 100_000 && cache.statistics.evictions == 151_000)
    }
}
