import CApusKernels
import Foundation
import Testing

/// The attention half of a layer with random weights.
private struct HalfLayer: ~Copyable {
    let h: Int
    let heads: Int
    let format: apus_format
    let qkv: KernelMemory
    let out: KernelMemory
    let qkvWeight: [Float]
    let outWeight: [Float]
    let qkvBias: [Float]
    let outBias: [Float]
    let gamma: [Float]
    let beta: [Float]
    let epsilon: Float = 1e-5

    init(_ format: apus_format, h: Int, heads: Int) throws {
        var noise = Noise(UInt64(h))
        let qkvWeight = noise.floats(3 * h * h, 0.2), outWeight = noise.floats(h * h, 0.2)
        // Before any property: an initialiser may not throw with some noncopyable properties set.
        let qkv = try Self.pack(format, n: 3 * h, k: h, qkvWeight)
        let out = try Self.pack(format, n: h, k: h, outWeight)
        self.h = h
        self.heads = heads
        self.format = format
        self.qkv = qkv
        self.out = out
        self.qkvWeight = qkvWeight
        self.outWeight = outWeight
        qkvBias = noise.floats(3 * h)
        outBias = noise.floats(h)
        gamma = noise.floats(h)
        beta = noise.floats(h)
    }

    static func pack(_ format: apus_format, n: Int, k: Int, _ weight: [Float]) throws -> KernelMemory {
        let memory = KernelMemory(count: apus_linear_bytes(format, Int64(n), Int64(k)))
        try #require(apus_linear_begin(format, Int64(n), Int64(k), memory.base) == APUS_OK)
        try #require(apus_linear_pack_rows(memory.base, 0, Int64(n), weight) == APUS_OK)
        return memory
    }

    var scale: Float { 1 / Float(h / heads).squareRoot() }

    func run(_ x: [Float], _ lengths: [Int], bias: [Float]?, biasSize: Int) throws -> [Float] {
        let starts = starts(of: lengths)
        let bytes = apus_self_attention_scratch(qkv.base, out.base, Int64(heads), starts, Int64(lengths.count))
        let scratch = KernelMemory(count: bytes)
        var y = [Float](repeating: .nan, count: x.count)
        let result = apus_self_attention(
            qkv.base, qkvBias, out.base, outBias, Int64(heads), scale, bias, Int64(biasSize), gamma, beta, epsilon, x, starts,
            Int64(lengths.count), &y, scratch.base)
        try #require(result == APUS_OK && bytes > 0)
        return y
    }

    /// The same from its parts: two linear layers, attention, and the sum and the norm in float64.
    func composed(_ x: [Float], _ lengths: [Int], bias: [Float]?, biasSize: Int) throws -> [Double] {
        let starts = starts(of: lengths), rows = x.count / h
        var projected = [Float](repeating: .nan, count: rows * 3 * h), context = [Float](repeating: .nan, count: rows * h)
        var result = [Float](repeating: .nan, count: rows * h)
        let first = KernelMemory(count: apus_linear_scratch(qkv.base, Int64(rows)))
        try #require(apus_linear(qkv.base, qkvBias, APUS_ACT_NONE, x, Int64(rows), &projected, first.base) == APUS_OK)
        let q = projected, k = Array(projected[h...]), v = Array(projected[(2 * h)...])
        let second = KernelMemory(count: apus_attention_scratch(format, Int64(heads), Int64(h / heads), starts, Int64(lengths.count)))
        try #require(
            apus_attention(
                format, Int64(heads), Int64(h / heads), scale, bias, Int64(biasSize), q, k, v, Int64(3 * h), starts, Int64(lengths.count),
                &context, Int64(h), second.base) == APUS_OK)
        let third = KernelMemory(count: apus_linear_scratch(out.base, Int64(rows)))
        try #require(apus_linear(out.base, outBias, APUS_ACT_NONE, context, Int64(rows), &result, third.base) == APUS_OK)
        return referenceNorm(
            zip(x, result).map { Double($0) + Double($1) }, width: h, gamma: gamma, beta: beta, epsilon: epsilon)
    }

    /// All of it in float64, for fp32.
    func reference(_ x: [Float], _ lengths: [Int]) -> [Double] {
        func linear(_ x: [Double], _ weight: [Float], _ bias: [Float], n: Int) -> [Double] {
            (0..<x.count / h).flatMap { row in
                (0..<n).map { o in (0..<h).reduce(Double(bias[o])) { $0 + x[row * h + $1] * Double(weight[o * h + $1]) } }
            }
        }
        let projected = linear(x.map(Double.init), qkvWeight, qkvBias, n: 3 * h), size = h / heads
        var context = [Double](repeating: 0, count: x.count), first = 0
        for length in lengths {
            for head in 0..<heads {
                for row in first..<first + length {
                    let scores = (first..<first + length).map { key in
                        (0..<size).reduce(0.0) {
                            $0 + projected[row * 3 * h + head * size + $1] * projected[key * 3 * h + h + head * size + $1]
                        } * Double(scale)
                    }
                    let top = scores.max() ?? 0
                    let weights = scores.map { exp($0 - top) }, total = weights.reduce(0, +)
                    for column in 0..<size {
                        context[row * h + head * size + column] = weights.enumerated().reduce(0.0) {
                            $0 + $1.element * projected[(first + $1.offset) * 3 * h + 2 * h + head * size + column]
                        } / total
                    }
                }
            }
            first += length
        }
        let result = linear(context, outWeight, outBias, n: h)
        return referenceNorm(zip(x, result).map { Double($0) + $1 }, width: h, gamma: gamma, beta: beta, epsilon: epsilon)
    }

    func starts(of lengths: [Int]) -> [Int32] { lengths.reduce(into: [0]) { $0.append($0[$0.count - 1] + Int32($1)) } }
}

@Suite(.serialized) struct SelfAttentionTests {
    private let lengths = [12, 1, 0, 70, 30, 150, 5, 5]

    private func noise(_ count: Int) -> [Float] {
        var noise = Noise(9)
        return noise.floats(count)
    }

    @Test func fp32MatchesFloat64AtEveryFeatureLevel() throws {
        let layer = try HalfLayer(APUS_FORMAT_FP32, h: 64, heads: 2)
        let x = noise(lengths.reduce(0, +) * 64)
        let expected = layer.reference(x, lengths)
        for level in featureLevels {
            try withFeatures(level) {
                let y = try layer.run(x, lengths, bias: nil, biasSize: 0)
                #expect(largestDifference(y, expected) < 5e-5, "features \(level)")
            }
        }
    }

    @Test func everyFormatIsItsPartsComposed() throws {
        for format in [APUS_FORMAT_FP32, APUS_FORMAT_BF16, APUS_FORMAT_INT8] {
            let layer = try HalfLayer(format, h: 96, heads: 3)
            let x = noise(lengths.reduce(0, +) * 96), bias = noise(3 * 150 * 150)
            for level in featureLevels {
                try withFeatures(level) {
                    let expected = try layer.composed(x, lengths, bias: bias, biasSize: 150)
                    let y = try layer.run(x, lengths, bias: bias, biasSize: 150)
                    #expect(largestDifference(y, expected) < 2e-5, "format \(format.rawValue), features \(level)")
                }
            }
        }
    }

    @Test func aSequenceIsTheSameToTheBitAloneAndInABatch() throws {
        for format in [APUS_FORMAT_FP32, APUS_FORMAT_BF16, APUS_FORMAT_INT8] {
            let layer = try HalfLayer(format, h: 64, heads: 2)
            let x = noise(lengths.reduce(0, +) * 64)
            for level in featureLevels {
                try withFeatures(level) {
                    let all = try layer.run(x, lengths, bias: nil, biasSize: 0)
                    #expect(try layer.run(x, lengths, bias: nil, biasSize: 0) == all)
                    var first = 0
                    for length in lengths where length > 0 {
                        let rows = first * 64..<(first + length) * 64
                        let alone = try layer.run(Array(x[rows]), [length], bias: nil, biasSize: 0)
                        #expect(alone == Array(all[rows]), "length \(length), format \(format.rawValue), features \(level)")
                        first += length
                    }
                }
            }
        }
    }

    @Test func blobsAndArgumentsThatDoNotFitAreRefused() throws {
        let layer = try HalfLayer(APUS_FORMAT_FP32, h: 32, heads: 2)
        let other = try HalfLayer.pack(APUS_FORMAT_FP32, n: 32, k: 64, [Float](repeating: 0, count: 32 * 64))
        let starts: [Int32] = [0, 3]
        let scratch = KernelMemory(count: apus_self_attention_scratch(layer.qkv.base, layer.out.base, 2, starts, 1))
        let x = noise(3 * 32)
        var y = [Float](repeating: 7, count: 3 * 32)
        func run(
            _ qkv: UnsafeMutableRawPointer, _ out: UnsafeMutableRawPointer, heads: Int64 = 2, bias: [Float]? = nil, starts: [Int32] = [0, 3]
        ) -> apus_result {
            apus_self_attention(
                qkv, layer.qkvBias, out, layer.outBias, heads, 1, bias, 2, layer.gamma, layer.beta, 1e-5, x, starts,
                Int64(starts.count - 1), &y, scratch.base)
        }
        #expect(run(layer.qkv.base, other.base) == APUS_BAD_ARGUMENT)
        #expect(run(layer.out.base, layer.out.base) == APUS_BAD_ARGUMENT)
        #expect(run(layer.qkv.base, layer.out.base, heads: 3) == APUS_BAD_ARGUMENT)
        #expect(run(layer.qkv.base, layer.out.base, heads: 8) == APUS_BAD_ARGUMENT)
        #expect(run(layer.qkv.base, layer.out.base, heads: 0) == APUS_BAD_ARGUMENT)
        #expect(run(layer.qkv.base, layer.out.base, bias: noise(8)) == APUS_BAD_ARGUMENT)
        #expect(run(layer.qkv.base, layer.out.base, starts: [0, 3, 2]) == APUS_BAD_ARGUMENT)
        #expect(run(scratch.base, layer.out.base) == APUS_BAD_BLOB)
        #expect(y == [Float](repeating: 7, count: 3 * 32))
        #expect(apus_self_attention_scratch(layer.qkv.base, other.base, 2, starts, 1) == 0)
        #expect(apus_self_attention_scratch(layer.qkv.base, layer.out.base, 5, starts, 1) == 0)
        #expect(run(layer.qkv.base, layer.out.base) == APUS_OK)
    }
}
