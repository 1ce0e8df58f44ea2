import CApusKernels
import Testing

@Suite struct PoolTests {
    /// The modes in float64, by sentence-transformers' definitions.
    private func reference(_ mode: Int32, _ x: [Float], h: Int, rows: Range<Int>) -> [Double] {
        let n = Double(rows.count)
        return (0..<h).map { column in
            let values = rows.map { Double(x[$0 * h + column]) }
            let sum = values.reduce(0, +)
            switch mode {
            case 0: return sum / n
            case 1: return values[0]
            case 2: return values[values.count - 1]
            case 3: return values.max() ?? 0
            case 4: return sum / n.squareRoot()
            default: return values.enumerated().reduce(0) { $0 + Double($1.offset + 1) * $1.element } / (n * (n + 1) / 2)
            }
        }
    }

    @Test(arguments: 0...5 as ClosedRange<Int32>, [1, 16, 29, 384])
    func everyModeMatchesTheReference(mode: Int32, h: Int) {
        var noise = Noise(UInt64(h))
        let lengths = [1, 2, 7, 12, 130, 512]
        let starts = lengths.reduce(into: [Int32(0)]) { $0.append($0[$0.count - 1] + Int32($1)) }
        let x = noise.floats(lengths.reduce(0, +) * h)
        var y = [Float](repeating: .nan, count: lengths.count * h)
        #expect(apus_pool(mode, x, Int64(h), starts, Int64(lengths.count), &y) == APUS_OK)
        for i in lengths.indices {
            let expected = reference(mode, x, h: h, rows: Int(starts[i])..<Int(starts[i + 1]))
            let pooled = Array(y[i * h..<(i + 1) * h])
            #expect(largestDifference(pooled, expected) < 1e-5 * (mode == 4 ? 10 : 1), "length \(lengths[i])")
            var alone = [Float](repeating: .nan, count: h)
            let rows = Array(x[Int(starts[i]) * h..<Int(starts[i + 1]) * h])
            #expect(apus_pool(mode, rows, Int64(h), [0, Int32(lengths[i])], 1, &alone) == APUS_OK)
            #expect(alone == pooled)
        }
    }

    @Test func unknownModesAndEmptySequencesAreRefused() {
        let x = [Float](repeating: 1, count: 8)
        var y = [Float](repeating: 7, count: 8)
        #expect(apus_pool(-1, x, 4, [0, 2], 1, &y) == APUS_BAD_ARGUMENT)
        #expect(apus_pool(6, x, 4, [0, 2], 1, &y) == APUS_BAD_ARGUMENT)
        #expect(apus_pool(0, x, 0, [0, 2], 1, &y) == APUS_BAD_ARGUMENT)
        #expect(apus_pool(0, x, 4, [0, 2, 2], 2, &y) == APUS_BAD_ARGUMENT)
        #expect(apus_pool(0, x, 4, [0, 2, 1], 2, &y) == APUS_BAD_ARGUMENT)
        #expect(y == [Float](repeating: 7, count: 8))
    }
}
