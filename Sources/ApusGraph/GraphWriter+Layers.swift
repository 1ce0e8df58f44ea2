import ApusCheckpoint
import ApusExecution

/// The layers that all encoder families share, in both styles. Token rows are packed: a value `[T, H]` holds the tokens of all
/// sequences one after the other, without padding.
extension GraphWriter {
    /// A linear layer's parameters as checkpoints store them: weight `[out, in]`, bias `[out]`.
    struct Linear {
        var weight: TensorView
        var bias: TensorView?
    }

    struct Norm {
        var weight: TensorView
        var bias: TensorView
        var epsilon: Float
    }

    /// `x · weightᵀ + bias`: `[T, in]` to `[T, out]`.
    mutating func linear(_ x: Value, _ layer: Linear) -> Value {
        var inputs = [x, weight(layer.weight)]
        if let bias = layer.bias { inputs.append(weight(bias)) }
        return apply("Gemm", inputs, ["transB": .int(1)])
    }

    mutating func layerNorm(_ x: Value, _ norm: Norm) -> Value {
        apply("LayerNormalization", [x, weight(norm.weight), weight(norm.bias)], ["epsilon": .float(norm.epsilon), "axis": .int(-1)])
    }

    /// `norm(linear(x) + residual)`, the end of both halves of a post-norm layer. Not as one SkipLayerNormalization: the engine's
    /// CPU kernel for that takes eight times as long as these two (0.77 against 0.09 ms for 512 rows of 384).
    mutating func linearAddNorm(_ x: Value, _ layer: Linear, residual: Value, _ norm: Norm) -> Value {
        layerNorm(apply("Add", [linear(x, layer), residual]), norm)
    }

    mutating func activation(_ x: Value, _ activation: Activation) -> Value {
        switch (activation, style) {
        case (.gelu, .fused), (.gelu, .kernels):
            return apply("Gelu", domain: .microsoft, [x])
        case (.gelu, .plain):
            // x · Φ(x) = x/2 · (1 + erf(x/√2))
            let erf = apply("Erf", [apply("Mul", [x, literal(Float(0.5).squareRoot())])])
            return apply("Mul", [apply("Mul", [x, literal(0.5)]), apply("Add", [erf, literal(1)])])
        case (.geluTanh, .fused), (.geluTanh, .kernels):
            return apply("FastGelu", domain: .microsoft, [x])
        case (.geluTanh, .plain):
            return apply("Gelu", [x], ["approximate": .string("tanh")])
        case (.relu, _):
            return apply("Relu", [x])
        case (.silu, _):
            return apply("Mul", [x, apply("Sigmoid", [x])])
        case (.tanh, _):
            return apply("Tanh", [x])
        case (.sigmoid, _):
            return apply("Sigmoid", [x])
        case (.identity, _):
            return x
        }
    }

    /// Self-attention over each sequence by itself: `[T, H]` queries, keys and values to `[T, H]`.
    ///
    /// `relativeBias` is added to the scores, `[1, heads, S, S]`, with S the longest sequence of the batch.
    mutating func attention(
        query: Value, key: Value, value: Value, heads: Int, headSize: Int, relativeBias: Value?
    ) -> Value {
        let width = Int64(heads * headSize)
        let spread = [query, key, value].map { rows in apply("Gather", [rows, encoderInput(.rowIndex)], ["axis": .int(0)]) }
        let mixed: Value
        switch style {
        case .fused, .kernels:
            // Grouped-query attention with as many key heads as query heads: of the engine's attention operators the one
            // that skips the padding of ragged batches on a CPU.
            mixed = apply(
                "GroupQueryAttention", domain: .microsoft,
                spread + [.none, .none, encoderInput(.lastPosition), encoderInput(.longest), .none, .none, .none]
                    + [relativeBias ?? .none],
                ["num_heads": .int(Int64(heads)), "kv_num_heads": .int(Int64(heads)), "causal": .int(0)])
        case .plain:
            let split = spread.map { rows in
                apply("Reshape", [rows, literal([0, 0, Int64(heads), Int64(headSize)])])
            }
            let query = apply("Transpose", [split[0]], ["perm": .ints([0, 2, 1, 3])])
            let key = apply("Transpose", [split[1]], ["perm": .ints([0, 2, 3, 1])])
            let value = apply("Transpose", [split[2]], ["perm": .ints([0, 2, 1, 3])])
            var scores = apply("Mul", [apply("MatMul", [query, key]), literal(1 / Float(headSize).squareRoot())])
            if let relativeBias { scores = apply("Add", [scores, relativeBias]) }
            scores = apply("Add", [scores, encoderInput(.scoreMask)])
            let weighted = apply("MatMul", [apply("Softmax", [scores], ["axis": .int(-1)]), value])
            mixed = apply("Transpose", [weighted], ["perm": .ints([0, 2, 1, 3])])
        }
        let rows = apply("Reshape", [mixed, literal([-1, width])])
        return apply("Gather", [rows, encoderInput(.tokenIndex)], ["axis": .int(0)])
    }

    mutating func encoderInput(_ input: EncoderInput) -> Value {
        self.input(input.rawValue, input.elementType, input.shape)
    }
}
