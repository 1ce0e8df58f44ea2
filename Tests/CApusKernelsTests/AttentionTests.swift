import CApusKernels
import Testing

/// Values are within ±1, so that rounding probabilities to bf16 (relative 2^-9) moves a result by at most 2^-8.
private let bf16Tolerance = 1.0 / 256

@Suite(.serialized) struct AttentionTests {
    private func expectRight(_ attention: AttentionCase, _ what: Comment) throws {
        let exact = attention.reference(rounds: false)
        let rounded = attention.reference(rounds: true)
        for level in featureLevels {
            try withFeatures(level) {
                #expect(largestDifference(try #require(attention.run(APUS_FORMAT_FP32)), exact) < 2e-5, what)
                let needed = UInt32(APUS_CPU_AVX512 | APUS_CPU_BF16)
                let isNative = apus_cpu_features() & needed == needed
                let difference = largestDifference(try #require(attention.run(APUS_FORMAT_BF16)), isNative ? rounded : exact)
                #expect(difference < (isNative ? bf16Tolerance : 2e-5), what)
            }
        }
    }

    @Test(arguments: Array(1...64) + [100, 128, 129, 255, 256, 511, 512])
    func everyLengthMatchesTheReference(length: Int) throws {
        try expectRight(AttentionCase(lengths: [length], seed: UInt64(length)), "length \(length)")
    }

    @Test(arguments: [8, 16, 24, 32, 40, 64, 72, 96, 128])
    func everyHeadSizeMatchesTheReference(headSize: Int) throws {
        for length in [1, 7, 12, 33, 131] {
            try expectRight(AttentionCase(heads: 3, headSize: headSize, lengths: [length]), "head size \(headSize), length \(length)")
        }
    }

    @Test(arguments: [1, 2, 15, 16, 17, 40, 130, 257])
    func relativeBiasIsAddedToTheScores(length: Int) throws {
        try expectRight(AttentionCase(lengths: [length], hasBias: true), "length \(length)")
    }

    @Test func aRaggedBatchMatchesTheReference() throws {
        try expectRight(AttentionCase(heads: 4, lengths: [3, 0, 1, 47, 12, 12, 130, 2], hasBias: true), "ragged")
    }

    @Test func aSequenceIsTheSameToTheBitAloneAndInABatch() throws {
        let batch = AttentionCase(heads: 3, lengths: [5, 140, 1, 33, 12, 64], hasBias: true)
        for level in featureLevels {
            for format in [APUS_FORMAT_FP32, APUS_FORMAT_BF16, APUS_FORMAT_INT8] {
                try withFeatures(level) {
                    let all = try #require(batch.run(format))
                    #expect(try #require(batch.run(format)) == all)
                    for sequence in batch.lengths.indices {
                        let first = Int(batch.starts[sequence]) * batch.width
                        let alone = try #require(batch.alone(sequence).run(format))
                        #expect(alone == Array(all[first..<first + alone.count]), "sequence \(sequence), features \(level)")
                    }
                }
            }
        }
    }

    @Test func scoresFarApartNeitherOverflowNorVanish() throws {
        let q = [Float](repeating: 60, count: 8), k = (0..<300 * 8).map { Float($0 / 8 % 7) * -20 }
        let v = (0..<300 * 8).map { Float($0 / 8) / 300 }
        let expected = stride(from: 0, to: 300, by: 7).map { Double($0) / 300 }.reduce(0, +) / 43
        for level in featureLevels {
            for format in [APUS_FORMAT_FP32, APUS_FORMAT_BF16] {
                withFeatures(level) {
                    let starts: [Int32] = [0, 300]
                    let scratch = KernelMemory(count: apus_attention_scratch(format, 1, 8, starts, 1))
                    let queries = [[Float]](repeating: q, count: 300).flatMap(\.self)
                    var y = [Float](repeating: .nan, count: 300 * 8)
                    #expect(apus_attention(format, 1, 8, 1, nil, 0, queries, k, v, 8, starts, 1, &y, 8, scratch.base) == APUS_OK)
                    #expect(largestDifference(y, [Double](repeating: expected, count: 300 * 8)) < bf16Tolerance)
                }
            }
        }
    }

    @Test func argumentsThatDoNotFitAreRefused() {
        let ascending: [Int32] = [0, 2], descending: [Int32] = [0, 2, 1], shifted: [Int32] = [1, 2]
        #expect(apus_attention_scratch(APUS_FORMAT_FP32, 2, 12, ascending, 1) == 0)
        #expect(apus_attention_scratch(APUS_FORMAT_FP32, 0, 8, ascending, 1) == 0)
        #expect(apus_attention_scratch(APUS_FORMAT_FP32, 2, .max & ~7, ascending, 1) == 0)
        #expect(apus_attention_scratch(APUS_FORMAT_FP32, 2, 8, descending, 2) == 0)
        #expect(apus_attention_scratch(APUS_FORMAT_FP32, 2, 8, shifted, 1) == 0)
        let scratch = KernelMemory(count: apus_attention_scratch(APUS_FORMAT_FP32, 2, 8, ascending, 1))
        let rows = [Float](repeating: 0, count: 32), bias = [Float](repeating: 0, count: 2)
        var y = [Float](repeating: 7, count: 32)
        func run(ld: Int64 = 16, bias: [Float]? = nil, starts: [Int32] = [0, 2]) -> apus_result {
            apus_attention(APUS_FORMAT_FP32, 2, 8, 1, bias, 1, rows, rows, rows, ld, starts, Int64(starts.count - 1), &y, 16, scratch.base)
        }
        #expect(run(ld: 15) == APUS_BAD_ARGUMENT)
        #expect(run(bias: bias) == APUS_BAD_ARGUMENT)
        #expect(run(starts: [0, 2, 1]) == APUS_BAD_ARGUMENT)
        #expect(y == [Float](repeating: 7, count: 32))
    }
}
