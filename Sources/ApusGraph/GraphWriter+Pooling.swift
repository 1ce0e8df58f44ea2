import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusTensor
import CApusKernels

/// From token rows to one vector for each sequence: pooling, dense layers and normalisation, as sentence-transformers stacks them.
extension GraphWriter {
    /// Writes `modules` behind `rows` (`[T, width]`, or all rows of a padded hidden state) and declares the output.
    mutating func sentenceModules(
        _ rows: Value, width: Int, _ modules: [SentenceModule]
    ) throws(ApusError) {
        part = .head
        var value = rows
        var width = width
        var pooled = false
        for module in modules {
            switch module {
            case .pooling(let pooling):
                value = form.style == .kernels ? packedPool(value, pooling) : pool(value, pooling)
                width *= pooling.modes.count
                pooled = true
            case .dense(let dense):
                value = try self.dense(value, dense)
                width = dense.outFeatures
            case .normalize:
                value = normalized(value)
            }
        }
        guard pooled else {
            throw ApusError(
                .unsupportedModel, "no pooling module: this model gives one vector for each token, not for each text",
                place: "modules.json")
        }
        output(value, named: EncoderGraph.output, .float32, [.symbolic("B"), .fixed(width)])
    }

    /// Dense layers behind the pooling keep floating-point weights where linear layers have integers: they are small, and nothing after them
    /// evens out what they lose.
    private mutating func dense(_ x: Value, _ dense: DenseModule) throws(ApusError) -> Value {
        let layer = Linear(weight: try WeightMatrix(dense.weight), bias: dense.bias)
        if let format { return try packedLinear(x, layer, dense.activation, format == APUS_FORMAT_INT8 ? APUS_FORMAT_FP32 : format) }
        return activation(gemm(x, try matrix(layer.weight), layer.bias), dense.activation)
    }

    /// `[rows, H]` to `[B, H · modes]`.
    private mutating func pool(_ rows: Value, _ pooling: PoolingConfiguration) -> Value {
        let parts = pooling.modes.map { mode in
            switch mode {
            case .cls: apply("Gather", [rows, encoderInput(.firstRow)], ["axis": .int(0)])
            case .lastToken: apply("Gather", [rows, encoderInput(.lastRow)], ["axis": .int(0)])
            // Padding repeats a token of its own sequence, so it never wins against the rest.
            case .max: apply("ReduceMax", [spread(rows), literal([1])], ["keepdims": .int(0)])
            case .mean: weightedSum(rows, .meanWeights)
            case .meanSqrtLength: weightedSum(rows, .squareRootWeights)
            case .weightedMean: weightedSum(rows, .positionWeights)
            }
        }
        guard parts.count > 1 else { return parts.first ?? rows }
        return apply("Concat", parts, ["axis": .int(-1)])
    }

    private mutating func weightedSum(_ rows: Value, _ weights: EncoderInput) -> Value {
        let weighted = apply("Mul", [spread(rows), encoderInput(weights)])
        return apply("ReduceSum", [weighted, literal([1])], ["keepdims": .int(0)])
    }

    /// `[rows, H]` to `[B, S, H]`.
    private mutating func spread(_ rows: Value) -> Value {
        apply("Gather", [rows, encoderInput(.rowIndex)], ["axis": .int(0)])
    }

    /// `x / max(‖x‖₂, 1e-12)`, the formula and floor of torch.nn.functional.normalize.
    private mutating func normalized(_ x: Value) -> Value {
        let norm = apply("ReduceL2", [x, literal([-1])], ["keepdims": .int(1)])
        return apply("Div", [x, apply("Max", [norm, literal(1e-12)])])
    }
}
