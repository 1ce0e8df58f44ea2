import ApusExecution
import ApusTensor
import CApusKernels

extension NetworkForm {
    /// What activations between operators are.
    var activationType: ElementType {
        switch precision {
        case .fp16: .float16
        case .bf16 where style == .fused: .bfloat16
        default: .float32
        }
    }

    /// Whether linear layers are the engine's MatMulNBits.
    var hasBlockWeights: Bool { style == .fused && (precision == .int8 || precision == .int4) }

    /// The format of the kernels' weights; nil for other styles.
    var kernelFormat: apus_format? {
        guard style == .kernels else { return nil }
        return switch precision {
        case .bf16: APUS_FORMAT_BF16
        case .int8: APUS_FORMAT_INT8
        default: APUS_FORMAT_FP32
        }
    }
}
