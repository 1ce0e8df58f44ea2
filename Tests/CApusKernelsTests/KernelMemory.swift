import CApusKernels

/// Memory as the kernels want it: 64-byte aligned and exactly as long as they asked for. Filled with ones, so that what they read before
/// they wrote it shows as NaN.
struct KernelMemory: ~Copyable {
    let base: UnsafeMutableRawPointer
    let count: Int

    init(count: Int) {
        self.count = count
        base = .allocate(byteCount: max(count, 1), alignment: 64)
        base.initializeMemory(as: UInt8.self, repeating: 0xFF, count: max(count, 1))
    }

    deinit { base.deallocate() }
}

/// The feature words that each choose other kernels.
let featureLevels: [UInt32] = [
    0,
    UInt32(APUS_CPU_AVX2),
    UInt32(APUS_CPU_AVX2 | APUS_CPU_AVX512),
    .max,
]

/// Runs the body with only these features allowed, then allows all of them again.
func withFeatures<Result>(_ mask: UInt32, _ body: () throws -> Result) rethrows -> Result {
    apus_cpu_allow(mask)
    defer { apus_cpu_allow(.max) }
    return try body()
}

/// SplitMix64: the same numbers in every run.
struct Noise {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func bits() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// In -range ..< range.
    mutating func float(_ range: Float = 1) -> Float { (Float(bits() >> 40) / Float(1 << 23) - 1) * range }

    mutating func floats(_ count: Int, _ range: Float = 1) -> [Float] { (0..<count).map { _ in float(range) } }

    mutating func below(_ bound: Int) -> Int { Int(bits() % UInt64(bound)) }
}

/// Rounded to the nearest bf16, ties to even.
func bf16(_ value: Float) -> Float {
    let bits = value.bitPattern
    return Float(bitPattern: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) & 0xFFFF_0000)
}

/// The largest difference; infinite when a value is not finite or the counts differ.
func largestDifference(_ values: [Float], _ expected: [Double]) -> Double {
    guard values.count == expected.count else { return .infinity }
    return zip(values, expected).reduce(0) { $1.0.isFinite ? max($0, abs(Double($1.0) - $1.1)) : .infinity }
}

/// Layer norm of rows of `width` in float64.
func referenceNorm(_ rows: [Double], width: Int, gamma: [Float], beta: [Float], epsilon: Float) -> [Double] {
    var result: [Double] = []
    for start in stride(from: 0, to: rows.count, by: width) {
        let row = rows[start..<start + width]
        let mean = row.reduce(0, +) / Double(width)
        let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
        let deviation = (variance + Double(epsilon)).squareRoot()
        for (i, value) in row.enumerated() { result.append((value - mean) / deviation * Double(gamma[i]) + Double(beta[i])) }
    }
    return result
}
