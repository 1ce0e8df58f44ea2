import CApusKernels
import Testing

@Suite(.serialized) struct EmbedTests {
    private func table(_ format: apus_format, rows: Int, width: Int, _ values: [Float]) throws -> KernelMemory {
        let memory = KernelMemory(count: apus_table_bytes(format, Int64(rows), Int64(width)))
        try #require(apus_table_begin(format, Int64(rows), Int64(width), memory.base) == APUS_OK)
        let half = rows / 2
        try #require(apus_table_pack_rows(memory.base, 0, Int64(half), values) == APUS_OK)
        try #require(apus_table_pack_rows(memory.base, Int64(half), Int64(rows - half), Array(values[(half * width)...])) == APUS_OK)
        return memory
    }

    /// What a table of this format keeps of its rows.
    private func kept(_ format: apus_format, width: Int, _ values: [Float]) -> [Double] {
        if format == APUS_FORMAT_FP32 { return values.map(Double.init) }
        if format == APUS_FORMAT_BF16 { return values.map { Double(bf16($0)) } }
        return stride(from: 0, to: values.count, by: width).flatMap { start in
            let row = values[start..<start + width].map(Double.init)
            return stride(from: 0, to: width, by: 64).flatMap { bestRounding(Array(row[$0..<min($0 + 64, width)])) }
        }
    }

    @Test(arguments: [1, 8, 16, 33, 384, 389])
    func embeddingsAreNormalisedSumsOfTheirRows(width: Int) throws {
        var noise = Noise(UInt64(width))
        let (words, positions, types, t) = (50, 20, 2, 37)
        let word = noise.floats(words * width), position = noise.floats(positions * width), type = noise.floats(types * width)
        let gamma = noise.floats(width), beta = noise.floats(width)
        let ids = (0..<t).map { _ in Int32(noise.below(words)) }, places = (0..<t).map { _ in Int32(noise.below(positions)) }
        let kinds = (0..<t).map { _ in Int32(noise.below(types)) }
        // Few columns can be nearly alike: a large epsilon keeps the norm from magnifying the rounding of the sum.
        let epsilon: Float = width < 16 ? 0.1 : 1e-5
        for format in [APUS_FORMAT_FP32, APUS_FORMAT_BF16, APUS_FORMAT_INT8] {
            let wordTable = try table(format, rows: words, width: width, word)
            let positionTable = try table(format, rows: positions, width: width, position)
            let typeTable = try table(APUS_FORMAT_FP32, rows: types, width: width, type)
            let keptWords = kept(format, width: width, word), keptPositions = kept(format, width: width, position)
            for hasTypes in [false, true] {
                let sums = (0..<t * width).map { i -> Double in
                    let row = i / width, column = i % width
                    return keptWords[Int(ids[row]) * width + column] + keptPositions[Int(places[row]) * width + column]
                        + (hasTypes ? Double(type[Int(kinds[row]) * width + column]) : 0)
                }
                let expected = referenceNorm(sums, width: width, gamma: gamma, beta: beta, epsilon: epsilon)
                for level in featureLevels {
                    withFeatures(level) {
                        var y = [Float](repeating: .nan, count: t * width)
                        let result = apus_embed(
                            wordTable.base, positionTable.base, hasTypes ? UnsafeRawPointer(typeTable.base) : nil, gamma, beta, epsilon,
                            ids, places, hasTypes ? kinds : nil, Int64(t), &y)
                        #expect(result == APUS_OK)
                        #expect(largestDifference(y, expected) < 2e-5, "format \(format.rawValue), features \(level)")
                        var alone = [Float](repeating: .nan, count: width)
                        let last = apus_embed(
                            wordTable.base, positionTable.base, hasTypes ? UnsafeRawPointer(typeTable.base) : nil, gamma, beta, epsilon,
                            [ids[t - 1]], [places[t - 1]], hasTypes ? [kinds[t - 1]] : nil, 1, &alone)
                        #expect(last == APUS_OK)
                        #expect(alone == Array(y[((t - 1) * width)...]))
                    }
                }
            }
        }
    }

    @Test func idsOutsideTheirTableAreRefusedAndNothingIsWritten() throws {
        let width = 16, ones = [Float](repeating: 1, count: 4 * 16)
        let words = try table(APUS_FORMAT_FP32, rows: 4, width: width, ones)
        let positions = try table(APUS_FORMAT_FP32, rows: 3, width: width, ones)
        let types = try table(APUS_FORMAT_FP32, rows: 2, width: width, ones)
        let narrow = try table(APUS_FORMAT_FP32, rows: 4, width: 8, ones)
        let gamma = ones
        var y = [Float](repeating: 7, count: 2 * width)
        func run(_ ids: [Int32], _ places: [Int32], _ kinds: [Int32]) -> apus_result {
            apus_embed(words.base, positions.base, types.base, gamma, gamma, 1e-5, ids, places, kinds, 2, &y)
        }
        for wrong: Int32 in [-1, .min, .max, 4] { #expect(run([0, wrong], [0, 1], [0, 1]) == APUS_BAD_ARGUMENT) }
        for wrong: Int32 in [-1, 3] { #expect(run([0, 1], [wrong, 1], [0, 1]) == APUS_BAD_ARGUMENT) }
        for wrong: Int32 in [-1, 2] { #expect(run([0, 1], [0, 1], [0, wrong]) == APUS_BAD_ARGUMENT) }
        #expect(apus_embed(words.base, narrow.base, nil, gamma, gamma, 1e-5, [0, 1], [0, 1], nil, 2, &y) == APUS_BAD_ARGUMENT)
        #expect(apus_embed(words.base, positions.base, types.base, gamma, gamma, 1e-5, [0, 1], [0, 1], nil, 2, &y) == APUS_BAD_ARGUMENT)
        #expect(y == [Float](repeating: 7, count: 2 * width))
        #expect(run([0, 3], [0, 2], [0, 1]) == APUS_OK)
    }

    @Test func aTableThatIsCutShortOrAlteredIsRefused() throws {
        for format in [APUS_FORMAT_FP32, APUS_FORMAT_BF16, APUS_FORMAT_INT8] {
            let memory = try table(format, rows: 3, width: 5, [Float](repeating: 1, count: 15))
            var rows: Int64 = 0, width: Int64 = 0
            #expect(apus_table_check(memory.base, memory.count, &rows, &width) == APUS_OK)
            #expect(rows == 3 && width == 5)
            #expect(apus_table_check(memory.base, memory.count - 1, nil, nil) == APUS_BAD_BLOB)
            #expect(apus_table_check(memory.base, 63, nil, nil) == APUS_BAD_BLOB)
            #expect(apus_table_check(memory.base, 0, nil, nil) == APUS_BAD_BLOB)
            #expect(apus_table_pack_rows(memory.base, 3, 1, [1, 1, 1, 1, 1]) == APUS_BAD_ARGUMENT)
            #expect(apus_table_pack_rows(memory.base, -1, 1, [1, 1, 1, 1, 1]) == APUS_BAD_ARGUMENT)
            for at in 0..<40 {
                let byte = memory.base.load(fromByteOffset: at, as: UInt8.self)
                memory.base.storeBytes(of: byte ^ 0x80, toByteOffset: at, as: UInt8.self)
                #expect(apus_table_check(memory.base, memory.count, nil, nil) == APUS_BAD_BLOB, "byte \(at)")
                memory.base.storeBytes(of: byte, toByteOffset: at, as: UInt8.self)
            }
        }
        #expect(apus_table_bytes(APUS_FORMAT_FP32, 0, 5) == 0)
        #expect(apus_table_bytes(APUS_FORMAT_FP32, 5, -1) == 0)
        #expect(apus_table_bytes(APUS_FORMAT_FP32, .max, .max) == 0)
        #expect(apus_table_bytes(APUS_FORMAT_INT8, .max / 2, 2) == 0)
    }
}
