import ApusErrors
import ApusVectors
import CApusKernels
import Testing

/// Suites that choose the kernels' instructions for the whole process: one at a time.
@Suite(.serialized) enum VectorTests {}

/// The feature words that each choose other kernels.
let featureLevels: [UInt32] = [
    0,
    UInt32(APUS_CPU_AVX2),
    UInt32(APUS_CPU_AVX2 | APUS_CPU_AVX512),
    .max,
]

/// Runs the body with only these features allowed, then allows all of them again.
func withFeatures<Result>(_ mask: UInt32, _ body: () async throws -> Result) async rethrows -> Result {
    apus_cpu_allow(mask)
    defer { apus_cpu_allow(.max) }
    return try await body()
}

/// SplitMix64: the same numbers in every run.
struct Noise: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func floats(_ count: Int) -> [Float] { (0..<count).map { _ in Float.random(in: -1...1, using: &self) } }

    mutating func rows(_ count: Int, _ dimensions: Int) throws -> VectorRows {
        try VectorRows(floats(count * dimensions), dimensions: dimensions)
    }
}

extension VectorRows {
    func row(_ index: Int) -> [Float] { Array(values[index * dimensions..<(index + 1) * dimensions]) }
}

/// Expects an `ApusError` of this code.
func expectError(_ code: ApusError.Code, _ body: () async throws -> Void, sourceLocation: SourceLocation = #_sourceLocation) async {
    do {
        try await body()
        Issue.record("no error where \(code.rawValue) was expected", sourceLocation: sourceLocation)
    } catch let error as ApusError {
        #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
    } catch {
        Issue.record("\(error)", sourceLocation: sourceLocation)
    }
}
