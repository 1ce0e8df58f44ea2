import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusTensor

/// From token rows to one vector for each sequence: pooling, dense layers and normalisation, as sentence-transformers stacks them.
extension GraphWriter {
    /// Writes `modules` behind `rows` (`[T, width]`, or all rows of a padded hidden state) and declares the output.
    mutating func sentenceModules(
        _ rows: Value, width: Int, _ modules: [SentenceModule]
    ) throws(ApusError) {
        var value = rows
        var width = width
        var pooled = false
        for module in modules {
            switch module {
            case .pooling(let pooling):
                value = pool(value, pooling)
                width *= pooling.modes.count
                pooled = true
            case .dense(let dense):
                value = activation(linear(value, Linear(weight: dense.weight, bias: dense.bias)), dense.activation)
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
