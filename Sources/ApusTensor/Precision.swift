/// The arithmetic a model is run in.
public enum Precision: String, Sendable, Hashable, CaseIterable {
    case fp32
    case fp16
    case bf16
    case int8
    case int4
    /// The fastest precision that keeps the model's accuracy on the device at hand.
    case auto
}
