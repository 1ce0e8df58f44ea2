import CApusKernels
import Testing

@Suite(.serialized) struct FeedForwardTests {
    private struct Layer: ~Copyable {
        let h: Int
        let up: KernelMemory, down: KernelMemory
        let b1: [Float], b2: [Float], gamma: [Float], beta: [Float]

        init(_ format: apus_format, h: Int, middle: Int, _ noise: inout Noise) throws {
            let w1 = try packedLinear(format, n: middle, k: h, noise.floats(middle * h, 0.3))
            let w2 = try packedLinear(format, n: h, k: middle, noise.floats(middle * h, 0.3))
            self.h = h
            up = w1
            down = w2
            (b1, b2, gamma, beta) = (noise.floats(middle), noise.floats(h), noise.floats(h), noise.floats(h))
        }

        func callAsFunction(_ x: [Float], _ activation: apus_activation) -> [Float] {
            let m = x.count / h
            var y = [Float](repeating: .nan, count: x.count)
            let scratch = KernelMemory(count: apus_feed_forward_scratch(up.base, down.base, Int64(m)))
            let result = apus_feed_forward(
                up.base, b1, activation, down.base, b2, gamma, beta, 1e-5, x, Int64(m), &y, scratch.base)
            #expect(result == APUS_OK)
            return y
        }
    }

    @Test(arguments: formats)
    func isTheNormOfTheRowPlusBothProducts(format: apus_format) throws {
        var noise = Noise(20)
        for (h, middle, m) in [(48, 192, 30), (33, 131, 7), (64, 3000, 150)] {
            let layer = try Layer(format, h: h, middle: middle, &noise)
            let x = noise.floats(m * h)
            for level in linearLevels {
                withFeatures(level) {
                    let inner = linear(layer.up, layer.b1, APUS_ACT_GELU, x, m: m, n: middle)
                    let outer = linear(layer.down, layer.b2, APUS_ACT_NONE, inner, m: m, n: h)
                    let sums = zip(x, outer).map { Double($0) + Double($1) }
                    let expected = referenceNorm(sums, width: h, gamma: layer.gamma, beta: layer.beta, epsilon: 1e-5)
                    #expect(largestDifference(layer(x, APUS_ACT_GELU), expected) < 2e-5, "h \(h), features \(level)")
                }
            }
        }
    }

    @Test(arguments: formats)
    func aRowsResultDoesNotDependOnTheRowsAroundIt(format: apus_format) throws {
        var noise = Noise(21)
        let h = 40, m = 203
        let layer = try Layer(format, h: h, middle: 2048, &noise)
        let x = noise.floats(m * h)
        for level in linearLevels {
            withFeatures(level) {
                let whole = layer(x, APUS_ACT_GELU)
                for rows in [0..<1, 77..<78, 100..<113, 202..<203, 5..<200] {
                    let range = (rows.lowerBound * h)..<(rows.upperBound * h)
                    #expect(layer(Array(x[range]), APUS_ACT_GELU) == Array(whole[range]), "rows \(rows), features \(level)")
                }
            }
        }
    }

    @Test func blobsThatDoNotFitEachOtherAreRefused() throws {
        var noise = Noise(22)
        let up = try packedLinear(APUS_FORMAT_FP32, n: 12, k: 4, noise.floats(48))
        let down = try packedLinear(APUS_FORMAT_FP32, n: 4, k: 11, noise.floats(44))
        #expect(apus_feed_forward_scratch(up.base, down.base, 3) == 0)
        let zeros = [Float](repeating: 0, count: 12)
        var y = zeros
        let scratch = KernelMemory(count: 4096)
        let result = apus_feed_forward(up.base, nil, APUS_ACT_GELU, down.base, nil, zeros, zeros, 1e-5, zeros, 3, &y, scratch.base)
        #expect(result == APUS_BAD_ARGUMENT)
        #expect(y == zeros)
    }
}
