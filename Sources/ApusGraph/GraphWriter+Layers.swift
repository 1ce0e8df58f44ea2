import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusTensor

/// The layers that all encoder families share, in the engine's operators. Token rows are packed: a value `[T, H]` holds the tokens of all
/// sequences one after the other, without padding.
extension GraphWriter {
    /// A linear layer's parameters as checkpoints store them: weight `[out, in]`, bias `[out]`.
    struct Linear {
        var weight: WeightMatrix
        var bias: TensorView?
    }

    struct Norm {
        var weight: TensorView
        var bias: TensorView
        var epsilon: Float
    }

    /// `x · weightᵀ + bias`: `[T, in]` to `[T, out]`.
    mutating func linear(_ x: Value, _ layer: Linear) throws(ApusError) -> Value {
        if form.hasBlockWeights { return try quantizedLinear(x, layer) }
        return gemm(x, try matrix(layer.weight), layer.bias)
    }

    mutating func gemm(_ x: Value, _ matrix: Value, _ bias: TensorView?) -> Value {
        var inputs = [x, matrix]
        if let bias { inputs.append(weight(bias)) }
        return apply("Gemm", inputs, ["transB": .int(1)])
    }

    mutating func layerNorm(_ x: Value, _ norm: Norm) -> Value {
        apply("LayerNormalization", [x, weight(norm.weight), weight(norm.bias)], ["epsilon": .float(norm.epsilon), "axis": .int(-1)])
    }

    /// `norm(linear(x) + residual)`, the end of both halves of a post-norm layer. Not as one SkipLayerNormalization: the engine's
    /// CPU kernel for that takes eight times as long as these two (0.77 against 0.09 ms for 512 rows of 384).
    mutating func linearAddNorm(_ x: Value, _ layer: Linear, residual: Value, _ norm: Norm) throws(ApusError) -> Value {
        layerNorm(apply("Add", [try linear(x, layer), residual]), norm)
    }

    mutating func activation(_ x: Value, _ activation: Activation) -> Value {
        switch (activation, form.style) {
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
    mutating func attention(query: Value, key: Value, value: Value, _ heads: Heads) -> Value {
        let width = Int64(heads.count * heads.size)
        let spread = [query, key, value].map { rows in apply("Gather", [rows, encoderInput(.rowIndex)], ["axis": .int(0)]) }
        let mixed: Value
        if hasFusedAttention(heads) {
            // Grouped-query attention with as many key heads as query heads: of the engine's attention operators the one
            // that skips the padding of ragged batches on a CPU.
            mixed = apply(
                "GroupQueryAttention", domain: .microsoft,
                spread + [.none, .none, encoderInput(.lastPosition), encoderInput(.longest), .none, .none, .none]
                    + [heads.relativeBias ?? .none],
                ["num_heads": .int(Int64(heads.count)), "kv_num_heads": .int(Int64(heads.count)), "causal": .int(0)])
        } else {
            let split = spread.map { rows in
                apply("Reshape", [rows, literal([0, 0, Int64(heads.count), Int64(heads.size)])])
            }
            let query = apply("Transpose", [split[0]], ["perm": .ints([0, 2, 1, 3])])
            let key = apply("Transpose", [split[1]], ["perm": .ints([0, 2, 3, 1])])
            let value = apply("Transpose", [split[2]], ["perm": .ints([0, 2, 1, 3])])
            var scores = apply("Mul", [apply("MatMul", [query, key]), literal(heads.scale)])
            if let relativeBias = heads.relativeBias { scores = apply("Add", [scores, relativeBias]) }
            scores = apply("Add", [scores, inActivationType(encoderInput(.scoreMask), from: .float32)])
            let weighted = apply("MatMul", [apply("Softmax", [scores], ["axis": .int(-1)]), value])
            mixed = apply("Transpose", [weighted], ["perm": .ints([0, 2, 1, 3])])
        }
        let rows = apply("Reshape", [mixed, literal([-1, width])])
        return apply("Gather", [rows, encoderInput(.tokenIndex)], ["axis": .int(0)])
    }

    /// In 16 bits the operator runs on accelerators, whose kernels take no bias of the scores.
    private func hasFusedAttention(_ heads: Heads) -> Bool {
        form.style == .fused && (activationType == .float32 || heads.relativeBias == nil)
    }

    mutating func encoderInput(_ input: EncoderInput) -> Value {
        self.input(input.rawValue, input.elementType, input.shape)
    }
}
