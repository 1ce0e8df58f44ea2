/// Which operators a graph is written with. Both compute the same function.
package enum GraphStyle: Sendable {
    /// ONNX Runtime's fused operators: the fast path.
    case fused
    /// Standard ONNX operators only: what the fast path is checked against.
    case plain
}
