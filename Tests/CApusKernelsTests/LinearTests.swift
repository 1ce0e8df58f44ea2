import CApusKernels
import Foundation
import Testing

let formats = [APUS_FORMAT_FP32, APUS_FORMAT_BF16, APUS_FORMAT_INT8]

/// The levels that choose other kernels for linear layers.
let linearLevels = featureLevels + [UInt32(APUS_CPU_AVX2 | APUS_CPU_AVX_VNNI)]

/// A blob of a weight `[n, k]`, packed in two calls.
func packedLinear(_ format: apus_format, n: Int, k: Int, _ weight: [Float]) throws -> KernelMemory {
    let blob = KernelMemory(count: apus_linear_bytes(format, Int64(n), Int64(k)))
    try #require(apus_linear_begin(format, Int64(n), Int64(k), blob.base) == APUS_OK)
    let first = n / 3
    try #require(apus_linear_pack_rows(blob.base, 0, Int64(first), weight) == APUS_OK)
    try #require(apus_linear_pack_rows(blob.base, Int64(first), Int64(n - first), Array(weight[(first * k)...])) == APUS_OK)
    return blob
}

func linear(_ blob: borrowing KernelMemory, _ bias: [Float]?, _ activation: apus_activation, _ x: [Float], m: Int, n: Int) -> [Float] {
    var y = [Float](repeating: .nan, count: m * n)
    let scratch = KernelMemory(count: apus_linear_scratch(blob.base, Int64(m)))
    #expect(apus_linear(blob.base, bias, activation, x, Int64(m), &y, scratch.base) == APUS_OK)
    return y
}

func referenceActivation(_ activation: apus_activation, _ x: Double) -> Double {
    switch activation {
    case APUS_ACT_GELU: x / 2 * (1 + erf(x / 2.0.squareRoot()))
    case APUS_ACT_GELU_TANH: x / 2 * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    case APUS_ACT_RELU: max(x, 0)
    case APUS_ACT_SILU: x / (1 + exp(-x))
    case APUS_ACT_TANH: tanh(x)
    case APUS_ACT_SIGMOID: 1 / (1 + exp(-x))
    default: x
    }
}

/// What a format keeps of a weight's row.
private func keptWeights(_ format: apus_format, _ row: ArraySlice<Float>) -> [Double] {
    if format == APUS_FORMAT_FP32 { return row.map(Double.init) }
    if format == APUS_FORMAT_BF16 { return row.map { Double(bf16($0)) } }
    let values = mixed(row.map(Double.init))
    return stride(from: 0, to: values.count, by: 32).flatMap { bestRounding(Array(values[$0..<min($0 + 32, values.count)])) }
}

/// Values of a block in 8 bits, with the scale that loses least of those that make the largest of them 116...131.
func bestRounding(_ block: [Double]) -> [Double] {
    let most = block.map(abs).max() ?? 0
    guard most > 0 else { return block }
    func loss(_ kept: [Double]) -> Double { zip(kept, block).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } }
    let choices = (116...131).map { highest in
        let scale = most / Double(highest)
        return block.map { min(max(($0 / scale).rounded(.toNearestOrEven), -127), 127) * scale }
    }
    return choices.min { loss($0) < loss($1) } ?? block
}

/// What int8 quantises of a row: whole groups of 128 mixed so that lengths and products stay what they are.
func mixed(_ row: [Double]) -> [Double] {
    var values = row
    for first in stride(from: 0, through: row.count - 128, by: 128) {
        for bit in 0..<7 {
            let before = values, stride = 1 << bit
            for i in 0..<128 {
                let isMinus = (i >> bit & 1) != (bit < 6 ? i >> (bit + 1) & 1 : 0)
                values[first + i] = (before[first + (i ^ stride)] + (isMinus ? -before[first + i] : before[first + i])) / 2.0.squareRoot()
            }
        }
    }
    return values
}

/// What a format keeps of a row of activations, and in int8 the largest scale of a group.
private func keptRow(_ format: apus_format, _ row: ArraySlice<Float>) -> (values: [Double], scale: Double) {
    if format == APUS_FORMAT_FP32 { return (row.map(Double.init), 0) }
    if format == APUS_FORMAT_BF16 { return (row.map { Double(bf16($0)) }, 0) }
    let values = mixed(row.map(Double.init))
    var kept: [Double] = [], largest = 0.0
    for first in stride(from: 0, to: values.count, by: 128) {
        let group = values[first..<min(first + 128, values.count)]
        let scale = (group.map(abs).max() ?? 0) / 127
        kept += group.map { scale == 0 ? 0 : ($0 / scale).rounded(.toNearestOrEven) * scale }
        largest = max(largest, scale)
    }
    return (kept, largest)
}

struct LinearReference {
    var values: [Double] = []
    /// How far a result may be off: rounding, and in int8 values that lie between two steps and may fall to either side.
    var slack: Double = 0

    init(_ format: apus_format, n: Int, k: Int, weight: [Float], bias: [Float]?, activation: apus_activation, x: [Float], m: Int) {
        let rows = (0..<n).map { keptWeights(format, weight[($0 * k)..<($0 + 1) * k]) }
        let largest = rows.joined().map(abs).max() ?? 0
        slack = 2e-6 * Double(k).squareRoot() + 2e-6
        for r in 0..<m {
            let kept = keptRow(format, x[(r * k)..<(r + 1) * k])
            slack = max(slack, 3 * kept.scale * largest)
            for channel in 0..<n {
                var sum = Double(bias?[channel] ?? 0)
                for i in 0..<k { sum += kept.values[i] * rows[channel][i] }
                values.append(referenceActivation(activation, sum))
            }
        }
    }
}

@Suite(.serialized) struct LinearTests {
    @Test(arguments: 0..<24)
    func productsOfRandomShapesAgreeWithFloat64(seed: Int) throws {
        var noise = Noise(UInt64(seed) &+ 1000)
        for format in formats {
            let n = 1 + noise.below(150), k = 1 + noise.below(200), m = 1 + noise.below(70)
            let activation = apus_activation(Int32(noise.below(7)))
            let weight = noise.floats(n * k, 0.2), x = noise.floats(m * k, 2).map { $0 + 0.3 }
            let bias: [Float]? = noise.below(4) == 0 ? nil : noise.floats(n)
            let blob = try packedLinear(format, n: n, k: k, weight)
            let reference = LinearReference(format, n: n, k: k, weight: weight, bias: bias, activation: activation, x: x, m: m)
            for level in linearLevels {
                withFeatures(level) {
                    let y = linear(blob, bias, activation, x, m: m, n: n)
                    let context = "format \(format.rawValue), n \(n), k \(k), m \(m), activation \(activation), features \(level)"
                    #expect(largestDifference(y, reference.values) < reference.slack, "\(context)")
                    let mean = zip(y, reference.values).reduce(0) { $0 + abs(Double($1.0) - $1.1) } / Double(m * n)
                    #expect(mean < 5e-5, "\(context)")
                }
            }
        }
    }

    @Test(arguments: formats)
    func aRowsResultDoesNotDependOnTheRowsAroundIt(format: apus_format) throws {
        var noise = Noise(7)
        let n = 200, k = 137
        let weight = noise.floats(n * k), bias = noise.floats(n), x = noise.floats(70 * k)
        let blob = try packedLinear(format, n: n, k: k, weight)
        for level in linearLevels {
            withFeatures(level) {
                let whole = linear(blob, bias, APUS_ACT_GELU, x, m: 70, n: n)
                for m in 1...69 {
                    let first = 70 - m
                    let part = linear(blob, bias, APUS_ACT_GELU, Array(x[(first * k)...]), m: m, n: n)
                    #expect(part == Array(whole[(first * n)...]), "m \(m), features \(level)")
                }
            }
        }
    }

    @Test(arguments: formats)
    func moreRowsThanABlockGiveTheSameResults(format: apus_format) throws {
        var noise = Noise(8)
        let n = 65, k = 40, m = 900
        let weight = noise.floats(n * k), x = noise.floats(m * k)
        let blob = try packedLinear(format, n: n, k: k, weight)
        let whole = linear(blob, nil, APUS_ACT_NONE, x, m: m, n: n)
        for first in [0, 383, 384, 768, 899] {
            let alone = linear(blob, nil, APUS_ACT_NONE, Array(x[(first * k)..<(first + 1) * k]), m: 1, n: n)
            #expect(alone == Array(whole[(first * n)..<(first + 1) * n]), "row \(first)")
        }
    }

    @Test func int8ProductsDoNotSaturate() throws {
        // Too few channels to be mixed: every integer is the largest there is.
        let n = 70, k = 120
        for sign in [Float(1), -1] {
            let blob = try packedLinear(APUS_FORMAT_INT8, n: n, k: k, [Float](repeating: sign, count: n * k))
            for level in linearLevels {
                withFeatures(level) {
                    let y = linear(blob, nil, APUS_ACT_NONE, [Float](repeating: 2, count: k), m: 1, n: n)
                    #expect(y.allSatisfy { abs($0 - sign * 240) < 0.01 }, "features \(level)")
                }
            }
        }
    }

    @Test func rowsOfZeroGiveTheBias() throws {
        var noise = Noise(9)
        let n = 67, k = 50
        let bias = noise.floats(n)
        let weight = noise.floats(n * k)
        for format in formats {
            let blob = try packedLinear(format, n: n, k: k, weight)
            for level in linearLevels {
                withFeatures(level) {
                    let y = linear(blob, bias, APUS_ACT_NONE, [Float](repeating: 0, count: 2 * k), m: 2, n: n)
                    #expect(y == bias + bias, "format \(format.rawValue), features \(level)")
                }
            }
        }
    }

    /// One input channel that is a hundred times as large as the others does not cost them their 8 bits.
    @Test func channelsThatStandOutDoNotTakeTheBitsOfOthers() throws {
        var noise = Noise(11)
        let n = 64, k = 384
        let weight = noise.floats(n * k, 0.1)
        var x = noise.floats(k)
        x[200] = 100
        let blob = try packedLinear(APUS_FORMAT_INT8, n: n, k: k, weight)
        let exact = try packedLinear(APUS_FORMAT_FP32, n: n, k: k, weight)
        for level in linearLevels {
            withFeatures(level) {
                let y = linear(blob, nil, APUS_ACT_NONE, x, m: 1, n: n), expected = linear(exact, nil, APUS_ACT_NONE, x, m: 1, n: n)
                let error = zip(y, expected).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
                // Rounding to 1/255 of a span of 101 alone would give 64 · 384 · 0.1²/3 · 0.4²/12.
                #expect(error < 0.4 * 64 * 384 * 0.01 / 3 * 0.4 * 0.4 / 12, "features \(level)")
            }
        }
    }

    @Test func weightsQuantisedBeforeGiveTheBlobOfTheirValues() throws {
        var noise = Noise(10)
        let n = 66, k = 129
        let weight = noise.floats(n * k)
        var integers = [Int8](repeating: 0, count: n * k), scales = [Float](repeating: 0, count: n)
        for row in 0..<n {
            var quantised = [Int8](repeating: 0, count: k)
            let result = apus_quantize_row_int8(Array(weight[(row * k)..<(row + 1) * k]), Int64(k), &quantised, &scales[row])
            #expect(result == APUS_OK)
            integers.replaceSubrange((row * k)..<(row + 1) * k, with: quantised)
        }
        let values = integers.indices.map { Float(integers[$0]) * scales[$0 / k] }
        let blob = try packedLinear(APUS_FORMAT_INT8, n: n, k: k, values)
        let other = KernelMemory(count: blob.count)
        try #require(apus_linear_begin(APUS_FORMAT_INT8, Int64(n), Int64(k), other.base) == APUS_OK)
        try #require(apus_linear_pack_int8_rows(other.base, 0, Int64(n), integers, scales) == APUS_OK)
        #expect(memcmp(blob.base, other.base, blob.count) == 0)
    }
}
