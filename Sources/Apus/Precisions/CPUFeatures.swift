package import ApusTensor
import CApusKernels

/// What the kernels can use of this machine's CPU.
package struct CPUFeatures: OptionSet, Sendable, Hashable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    private init(_ bit: some BinaryInteger) {
        rawValue = UInt32(truncatingIfNeeded: bit)
    }

    package static let avx2 = CPUFeatures(APUS_CPU_AVX2)
    package static let avx512 = CPUFeatures(APUS_CPU_AVX512)
    package static let vnni = CPUFeatures(APUS_CPU_VNNI)
    package static let bf16 = CPUFeatures(APUS_CPU_BF16)
    package static let amxInt8 = CPUFeatures(APUS_CPU_AMX_INT8)
    package static let amxBF16 = CPUFeatures(APUS_CPU_AMX_BF16)
    package static let neon = CPUFeatures(APUS_CPU_NEON)
    package static let avxVNNI = CPUFeatures(APUS_CPU_AVX_VNNI)

    /// Of the machine that this process runs on.
    package static var current: CPUFeatures { CPUFeatures(rawValue: apus_cpu_features()) }

    /// `avx512-vnni`, the oldest first.
    package var names: [String] { Self.spellings.filter { contains($0.feature) }.map(\.name) }

    /// Whether products in this precision have instructions of their own: the rule of `apus_format_is_native`. fp16 and int4 are computed in
    /// fp32 everywhere.
    package func computes(_ precision: Precision) -> Bool {
        precision == .fp32 || instructions(for: precision) != nil
    }

    /// What products in `precision` are computed with, `avx512-bf16`; nil where it has no instructions of its own.
    package func instructions(for precision: Precision) -> String? {
        let wanted: [CPUFeatures] =
            switch precision {
            case .fp32: [.avx512, .avx2, .neon]
            case .bf16: [[.avx512, .bf16]]
            case .int8: [[.avx512, .vnni], .avxVNNI, .avx2, .neon]
            case .fp16, .int4, .auto: []
            }
        return wanted.first { isSuperset(of: $0) }?.names.last
    }

    private static let spellings: [(feature: CPUFeatures, name: String)] = [
        (.neon, "neon"), (.avx2, "avx2"), (.avxVNNI, "avx-vnni"), (.avx512, "avx512"), (.vnni, "avx512-vnni"), (.bf16, "avx512-bf16"),
        (.amxInt8, "amx-int8"), (.amxBF16, "amx-bf16"),
    ]
}
