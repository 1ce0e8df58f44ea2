import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusTensor

/// What encoders consist of, in every form.
extension GraphWriter {
    /// The tables whose rows make up a token's first state.
    struct Tables {
        var words: WeightMatrix
        var positions: WeightMatrix
        /// nil for families without token types.
        var types: WeightMatrix?
        var norm: Norm
    }

    struct Heads {
        var count: Int
        var size: Int
        var relativeBias: Value?

        /// What scores are multiplied with.
        var scale: Float { 1 / Float(size).squareRoot() }
    }

    mutating func encoderLayer(
        _ x: Value, _ layer: EncoderLayer, _ heads: Heads, _ activation: Activation
    ) throws(ApusError) -> Value {
        if let format { return try packedLayer(x, layer, heads, activation, format) }
        let attended = attention(
            query: try linear(x, layer.query), key: try linear(x, layer.key), value: try linear(x, layer.value), heads)
        let normed = try linearAddNorm(attended, layer.attentionOutput, residual: x, layer.attentionNorm)
        let expanded = self.activation(try linear(normed, layer.expand), activation)
        return try linearAddNorm(expanded, layer.contract, residual: normed, layer.outputNorm)
    }

    /// Sums word, position and (where there is one) token-type embeddings and normalises the sum: `[T, H]`.
    mutating func embeddings(_ tables: Tables) throws(ApusError) -> Value {
        if let format { return try packedEmbeddings(tables, format) }
        let rows: Value
        switch form {
        case .fusedFP32:
            let types = try tables.types.map { types throws(ApusError) in (encoderInput(.tokenTypeIDs), try matrix(types)) }
            rows = apply(
                "EmbedLayerNormalization", domain: .microsoft,
                [
                    encoderInput(.inputIDs), types?.0 ?? .none, try matrix(tables.words), try matrix(tables.positions), types?.1 ?? .none,
                    weight(tables.norm.weight), weight(tables.norm.bias), .none, encoderInput(.positionIDs),
                ],
                ["epsilon": .float(tables.norm.epsilon)], results: 2)
        default:
            let words =
                form.hasBlockWeights
                ? try quantizedRows(encoderInput(.inputIDs), tables.words) : try look(up: .inputIDs, in: tables.words)
            var sum = apply("Add", [words, try look(up: .positionIDs, in: tables.positions)])
            if let types = tables.types { sum = apply("Add", [sum, try look(up: .tokenTypeIDs, in: types)]) }
            rows = layerNorm(sum, tables.norm)
        }
        return apply("Reshape", [rows, literal([-1, Int64(tables.words.columns)])])
    }

    /// Rows of a table by the numbers of an input, `[1, T, H]`.
    private mutating func look(up input: EncoderInput, in table: WeightMatrix) throws(ApusError) -> Value {
        apply("Gather", [try matrix(table), encoderInput(input)])
    }
}
