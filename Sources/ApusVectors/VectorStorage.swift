import CApusKernels

/// How the elements of a stored vector are kept.
package enum VectorStorage: String, Sendable, Hashable, CaseIterable {
    case fp32
    /// IEEE half precision, rounded to nearest even; elements below 65,520.
    case fp16
    case bf16
    /// Symmetric, -127...127, with a scale for each vector.
    case int8

    var kernel: apus_vector_storage {
        switch self {
        case .fp32: APUS_VECTORS_FP32
        case .fp16: APUS_VECTORS_FP16
        case .bf16: APUS_VECTORS_BF16
        case .int8: APUS_VECTORS_INT8
        }
    }
}
