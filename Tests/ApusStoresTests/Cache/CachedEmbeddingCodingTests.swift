import ApusStores
import ApusTensor
import ApusVectors
import Testing

@Suite struct CachedEmbeddingCodingTests {
    private let key = EmbeddingScope(model: "m", weights: "w", files: "f", precision: .fp32, truncation: "right:256").key(text: "a")
    private let other = EmbeddingScope(model: "m", weights: "w", files: "f", precision: .fp32, truncation: "right:256").key(text: "b")

    private func sample(_ count: Int) -> CachedEmbedding {
        CachedEmbedding(vector: (0..<count).map { Float($0) - 0.25 }, tokens: 12, originalTokens: 300, device: DeviceID(.cuda, 3))
    }

    @Test(arguments: [0, 1, 384, 16_384]) func whatIsWrittenIsReadAgain(count: Int) {
        let value = sample(count)
        let bytes = value.encoded(for: key)
        #expect(CachedEmbedding(encoded: bytes, for: key) == value)
        #expect(bytes.count == 25 + "cuda:3".utf8.count + count * 4)
    }

    @Test func anotherKeysEntryIsNone() {
        #expect(CachedEmbedding(encoded: sample(8).encoded(for: key), for: other) == nil)
    }

    @Test func everyChangedBitAndEveryOtherLengthIsFound() {
        let bytes = sample(6).encoded(for: key)
        for index in bytes.indices {
            for bit in 0..<8 {
                var damaged = bytes
                damaged[index] ^= 1 << bit
                #expect(CachedEmbedding(encoded: damaged, for: key) == nil, "byte \(index), bit \(bit)")
            }
        }
        for length in 0..<bytes.count { #expect(CachedEmbedding(encoded: Array(bytes.prefix(length)), for: key) == nil) }
        #expect(CachedEmbedding(encoded: bytes + [0], for: key) == nil)
        #expect(CachedEmbedding(encoded: Array("OK".utf8), for: key) == nil)
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity]) func numbersThatAreNotFiniteAreRefused(element: Float) {
        let value = CachedEmbedding(vector: [1, element], tokens: 1, originalTokens: 1, device: DeviceID(.cpu, 0))
        #expect(CachedEmbedding(encoded: value.encoded(for: key), for: key) == nil)
    }
}
