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

    @Test(arguments: [0, 1, 384, 16_384]) func whatIsWrittenIsReadAgain(count: Int) throws {
        let value = sample(count)
        let bytes = try #require(value.encoded(for: key))
        #expect(CachedEmbedding(encoded: bytes, for: key) == value)
        #expect(bytes.count == 25 + "cuda:3".utf8.count + count * 4)
    }

    @Test(arguments: [2, 3, 30]) func allDevicesOfAGroupAreReadAgain(count: Int) throws {
        let group = (0..<count).map { DeviceID(.cpu, $0) }
        let value = CachedEmbedding(vector: [0.5, -0.5], tokens: 1, originalTokens: 1, device: group[0], group: group)
        let encoded = try #require(value.encoded(for: key))
        let read = try #require(CachedEmbedding(encoded: encoded, for: key))
        #expect(read == value && read.devices == group)
    }

    @Test func aGroupWhoseNamesHaveNoRoomIsNotWritten() {
        let group = (0..<60).map { DeviceID(.cpu, $0) }
        #expect(CachedEmbedding(vector: [1], tokens: 1, originalTokens: 1, device: group[0], group: group).encoded(for: key) == nil)
    }

    /// What is written of one device is what was written before groups were told.
    @Test func anEntryOfAnEarlierProgramIsRead() throws {
        let bytes = try #require(CachedEmbedding(vector: [1], tokens: 2, originalTokens: 3, device: DeviceID(.cpu, 0)).encoded(for: key))
        #expect(Array(bytes[12...]) == [2, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 5] + Array("cpu:0".utf8) + [0, 0, 0x80, 0x3f])
        #expect(Array(bytes[..<4]) == Array("AEV".utf8) + [1])
        #expect(CachedEmbedding(encoded: bytes, for: key)?.devices == [DeviceID(.cpu, 0)])
    }

    @Test func anotherKeysEntryIsNone() throws {
        let bytes = try #require(sample(8).encoded(for: key))
        #expect(CachedEmbedding(encoded: bytes, for: other) == nil)
    }

    @Test func everyChangedBitAndEveryOtherLengthIsFound() throws {
        let bytes = try #require(sample(6).encoded(for: key))
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

    @Test(arguments: [Float.nan, .infinity, -.infinity]) func numbersThatAreNotFiniteAreRefused(element: Float) throws {
        let value = CachedEmbedding(vector: [1, element], tokens: 1, originalTokens: 1, device: DeviceID(.cpu, 0))
        let bytes = try #require(value.encoded(for: key))
        #expect(CachedEmbedding(encoded: bytes, for: key) == nil)
    }
}
