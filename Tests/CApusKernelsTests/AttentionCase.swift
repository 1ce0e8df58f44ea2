import CApusKernels
import Foundation

/// Random queries, keys and values of packed sequences, what the kernel makes of them and what float64 does.
struct AttentionCase {
    let heads: Int
    let headSize: Int
    let lengths: [Int]
    let bias: [Float]?
    let biasSize: Int
    let ld: Int
    let q: [Float]
    let k: [Float]
    let v: [Float]
    let scale: Float

    init(heads: Int = 2, headSize: Int = 32, lengths: [Int], hasBias: Bool = false, seed: UInt64 = 1) {
        var noise = Noise(seed)
        self.heads = heads
        self.headSize = headSize
        self.lengths = lengths
        ld = heads * headSize + 5
        let count = lengths.reduce(0, +) * ld
        q = noise.floats(count, 3)
        k = noise.floats(count, 3)
        v = noise.floats(count)
        biasSize = (lengths.max() ?? 0) + 3
        bias = hasBias ? noise.floats(heads * biasSize * biasSize, 4) : nil
        scale = 1 / Float(headSize).squareRoot()
    }

    var width: Int { heads * headSize }
    var starts: [Int32] { lengths.reduce(into: [0]) { $0.append($0[$0.count - 1] + Int32($1)) } }

    /// The sequence on its own.
    func alone(_ sequence: Int) -> AttentionCase {
        let first = Int(starts[sequence]) * ld
        let rows = first..<first + lengths[sequence] * ld
        return AttentionCase(self, lengths: [lengths[sequence]], q: Array(q[rows]), k: Array(k[rows]), v: Array(v[rows]))
    }

    private init(_ other: AttentionCase, lengths: [Int], q: [Float], k: [Float], v: [Float]) {
        heads = other.heads
        headSize = other.headSize
        self.lengths = lengths
        bias = other.bias
        biasSize = other.biasSize
        ld = other.ld
        (self.q, self.k, self.v) = (q, k, v)
        scale = other.scale
    }

    func run(_ format: apus_format) -> [Float]? {
        let starts = starts
        let bytes = apus_attention_scratch(format, Int64(heads), Int64(headSize), starts, Int64(lengths.count))
        let scratch = KernelMemory(count: bytes)
        var y = [Float](repeating: .nan, count: lengths.reduce(0, +) * width)
        let result = apus_attention(
            format, Int64(heads), Int64(headSize), scale, bias, Int64(biasSize), q, k, v, Int64(ld), starts, Int64(lengths.count), &y,
            Int64(width), scratch.base)
        return result == APUS_OK && bytes > 0 ? y : nil
    }

    /// In float64. `rounds`: from queries (scaled as the kernel does), keys and values rounded to bf16.
    func reference(rounds: Bool) -> [Double] {
        let log2e: Float = 1.44269504
        let queries = q.map { rounds ? Double(bf16($0 * (scale * log2e))) : Double($0) * Double(scale) * Double(log2e) }
        let keys = k.map { Double(rounds ? bf16($0) : $0) }
        let values = v.map { Double(rounds ? bf16($0) : $0) }
        var y = [Double](repeating: 0, count: lengths.reduce(0, +) * width)
        for (first, length) in zip(starts, lengths) {
            for head in 0..<heads {
                for row in 0..<length {
                    let query = (Int(first) + row) * ld + head * headSize
                    var scores = (0..<length).map { key -> Double in
                        let at = (Int(first) + key) * ld + head * headSize
                        let product = (0..<headSize).reduce(0.0) { $0 + queries[query + $1] * keys[at + $1] }
                        return product + (bias.map { Double($0[(head * biasSize + row) * biasSize + key]) * Double(log2e) } ?? 0)
                    }
                    let top = scores.max() ?? 0
                    for key in 0..<length { scores[key] = exp2(scores[key] - top) }
                    let total = scores.reduce(0, +)
                    for column in 0..<headSize {
                        let sum = (0..<length).reduce(0.0) { $0 + scores[$1] * values[(Int(first) + $1) * ld + head * headSize + column] }
                        y[(Int(first) + row) * width + head * headSize + column] = sum / total
                    }
                }
            }
        }
        return y
    }
}
