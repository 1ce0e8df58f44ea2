/// The non-linear function of a layer, applied to each element.
package enum Activation: Sendable, Hashable {
    /// x · Φ(x), with the error function.
    case gelu
    /// GELU approximated by tanh (Hendrycks and Gimpel 2016).
    case geluTanh
    case relu
    /// x · sigmoid(x).
    case silu
    case tanh
    case sigmoid
    case identity

    /// The names of `ACT2FN` in transformers' activations.py. Those missing here are not supported.
    init?(transformersName name: String) {
        switch name {
        case "gelu", "gelu_python": self = .gelu
        case "gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_fast", "gelu_accurate": self = .geluTanh
        case "relu": self = .relu
        case "silu", "swish": self = .silu
        case "tanh": self = .tanh
        case "sigmoid": self = .sigmoid
        case "linear": self = .identity
        default: return nil
        }
    }

    /// The dotted class names that sentence-transformers writes for a Dense module, `torch.nn.modules.activation.Tanh`.
    init?(torchClass name: String) {
        guard name.hasPrefix("torch.nn.") else { return nil }
        switch name.split(separator: ".").last {
        case "GELU": self = .gelu
        case "ReLU": self = .relu
        case "SiLU": self = .silu
        case "Tanh": self = .tanh
        case "Sigmoid": self = .sigmoid
        case "Identity": self = .identity
        default: return nil
        }
    }
}
