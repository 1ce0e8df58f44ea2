package import ApusErrors
package import ApusTensor

/// Which operators a graph is written with. All compute the same function.
package enum GraphStyle: String, Sendable, CaseIterable {
    /// Apus' own operators over packed tokens and packed weights: the fast path of CPUs.
    case kernels
    /// ONNX Runtime's fused operators.
    case fused
    /// Standard ONNX operators only: what the fast paths are checked against.
    case plain

    /// The precisions that a graph of this style can be written in.
    package var precisions: [Precision] {
        switch self {
        case .kernels: [.fp32, .bf16, .int8]
        case .fused: [.fp32, .fp16, .bf16, .int8, .int4]
        case .plain: [.fp32]
        }
    }
}

/// How a network is written: the operators, and the arithmetic of its weights.
package struct NetworkForm: Sendable, Hashable {
    package let style: GraphStyle
    /// One of the style's ``GraphStyle/precisions``.
    package let precision: Precision

    /// Throws `unsupported_precision` for a precision that the style is not written in.
    package init(_ style: GraphStyle, _ precision: Precision) throws(ApusError) {
        guard style.precisions.contains(precision) else {
            throw ApusError(
                .unsupportedPrecision, "graphs of style '\(style.rawValue)' are not written in \(precision.rawValue)",
                advice: "They are in \(style.precisions.map(\.rawValue).joined(separator: ", "))")
        }
        self.init(known: style, precision)
    }

    private init(known style: GraphStyle, _ precision: Precision) {
        self.style = style
        self.precision = precision
    }

    package static let plainFP32 = NetworkForm(known: .plain, .fp32)
    package static let fusedFP32 = NetworkForm(known: .fused, .fp32)
    /// Weights and activations of 16 bits, for accelerators: the CPU has no such products.
    package static let fusedFP16 = NetworkForm(known: .fused, .fp16)
    /// Weights and activations of 16 bits, for accelerators: the CPU has no such products.
    package static let fusedBF16 = NetworkForm(known: .fused, .bf16)
    /// Linear layers of 8-bit weights in blocks, activations in floating point.
    package static let fusedInt8 = NetworkForm(known: .fused, .int8)
    /// Linear layers of 4-bit weights in blocks, activations in floating point.
    package static let fusedInt4 = NetworkForm(known: .fused, .int4)
    package static let kernelsFP32 = NetworkForm(known: .kernels, .fp32)
    /// Products of bf16, sums and everything between layers in fp32.
    package static let kernelsBF16 = NetworkForm(known: .kernels, .bf16)
    /// Products of 8-bit integers, everything between layers in fp32.
    package static let kernelsInt8 = NetworkForm(known: .kernels, .int8)
}

extension NetworkForm: CaseIterable {
    package static var allCases: [NetworkForm] {
        GraphStyle.allCases.flatMap { style in style.precisions.map { NetworkForm(known: style, $0) } }
    }
}

extension NetworkForm: CustomStringConvertible {
    /// `kernels-int8`
    package var description: String { "\(style.rawValue)-\(precision.rawValue)" }
}
