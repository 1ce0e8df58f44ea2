import ApusExecution
import ApusGraph
import ApusTensor
import Testing

@Suite struct EncoderBatchTests {
    private static func batch(_ lengths: [Int]) -> EncoderBatch {
        EncoderBatch(lengths.map { count in
            EncoderBatch.Sequence(ids: (0..<count).map { Int32($0 + 5) }, typeIDs: [Int32](repeating: 1, count: count))
        })
    }

    private func tensor(_ name: String, _ lengths: [Int], _ conventions: EncoderConventions = EncoderConventions()) -> HostTensor? {
        Self.batch(lengths).tensors(for: [ValueDescription(name, .int32, [])], conventions)[name]
    }

    @Test func startsAreTheFirstRowsAndTheEnd() {
        #expect(tensor("starts", [3, 1, 4]) == HostTensor([4], .int32([0, 3, 4, 8])))
        #expect(tensor("starts", [2]) == HostTensor([2], .int32([0, 2])))
    }

    @Test func tokensAndPositionsArePacked() {
        #expect(tensor("input_ids", [2, 3]) == HostTensor([1, 5], .int32([5, 6, 5, 6, 7])))
        #expect(tensor("token_type_ids", [2, 1]) == HostTensor([1, 3], .int32([1, 1, 1])))
        #expect(tensor("position_ids", [2, 3], EncoderConventions(positionOffset: 2)) == HostTensor([1, 5], .int32([2, 3, 2, 3, 4])))
        #expect(tensor("token_index", [2, 3]) == HostTensor([5], .int32([0, 1, 3, 4, 5])))
    }

    /// Values of transformers' `MPNetEncoder.relative_position_bucket` for 32 buckets.
    @Test func relativePositionsFallIntoMPNetsBuckets() throws {
        let table = try #require(tensor("position_buckets", [130]))
        guard case .int32(let buckets) = table.elements else { return }
        #expect(table.shape == [130, 130])
        let first = Array(buckets[0..<130])
        #expect(Array(first[0..<10]) == [0, 17, 18, 19, 20, 21, 22, 23, 24, 24])
        #expect(first[129] == 31)
        #expect(buckets[129 * 130] == 15)
        for query in 0..<129 {
            #expect(buckets[(query + 1) * 130 + query + 1] == 0)
            #expect(buckets[query * 130 + query + 1] == 17 && buckets[(query + 1) * 130 + query] == 1)
        }
    }
}
