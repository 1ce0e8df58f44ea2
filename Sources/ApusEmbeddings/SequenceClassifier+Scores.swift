package import ApusCheckpoint
import Foundation

extension SequenceClassifier {
    /// The scores of one row of logits, in the order of the labels.
    package func scores(of logits: some Collection<Float>) -> [Float] {
        switch scoring {
        case .each(let activation): logits.map { Float(activation.of(Double($0))) }
        case .softmax: Self.softmax(logits)
        }
    }

    private static func softmax(_ logits: some Collection<Float>) -> [Float] {
        // The largest is taken away first, so that no power overflows.
        let largest = Double(logits.max() ?? 0)
        let powers = logits.map { exp(Double($0) - largest) }
        let sum = powers.reduce(0, +)
        return powers.map { Float($0 / sum) }
    }
}

extension Activation {
    fileprivate func of(_ x: Double) -> Double {
        switch self {
        case .gelu: x * (1 + erf(x / 2.0.squareRoot())) / 2
        case .geluTanh: x * (1 + Foundation.tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x))) / 2
        case .relu: max(0, x)
        case .silu: x * Self.sigmoid(x)
        case .tanh: Foundation.tanh(x)
        case .sigmoid: Self.sigmoid(x)
        case .identity: x
        }
    }

    /// `1 / (1 + e^-x)`. For x far below 0 the power is infinite and the quotient 0, as it should be.
    private static func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
}
