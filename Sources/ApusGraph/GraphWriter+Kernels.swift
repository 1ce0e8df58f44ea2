import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusTensor
import CApusKernels

/// Encoders in Apus' own operators: packed rows all the way, two operators a layer.
extension GraphWriter {
    /// In int8, only the words' table is: the others are small, and what they lose adds up.
    mutating func packedEmbeddings(_ tables: Tables, _ format: apus_format) throws(ApusError) -> Value {
        let small = format == APUS_FORMAT_INT8 ? APUS_FORMAT_FP32 : format
        var inputs = [try table(tables.words, format), try table(tables.positions, small)]
        inputs.append(try tables.types.map { types throws(ApusError) in try table(types, small) } ?? .none)
        inputs += [try vector([tables.norm.weight]), try vector([tables.norm.bias])]
        inputs += [encoderInput(.inputIDs), encoderInput(.positionIDs)]
        if tables.types != nil { inputs.append(encoderInput(.tokenTypeIDs)) }
        return apply("Embed", domain: .apus, inputs, ["epsilon": .float(tables.norm.epsilon)])
    }

    mutating func packedLayer(
        _ x: Value, _ layer: EncoderLayer, _ heads: Heads, _ activation: Activation, _ format: apus_format
    ) throws(ApusError) -> Value {
        var inputs = [x, encoderInput(.starts)]
        inputs += try packed([layer.query, layer.key, layer.value], format)
        inputs += try packed([layer.attentionOutput], format)
        inputs += [try vector([layer.attentionNorm.weight]), try vector([layer.attentionNorm.bias])]
        if let bias = heads.relativeBias { inputs.append(bias) }
        let attended = apply(
            "SelfAttention", domain: .apus, inputs,
            [
                "heads": .int(Int64(heads.count)), "scale": .float(heads.scale), "epsilon": .float(layer.attentionNorm.epsilon),
            ])
        return apply(
            "FeedForward", domain: .apus,
            [attended] + (try packed([layer.expand], format)) + (try packed([layer.contract], format))
                + [try vector([layer.outputNorm.weight]), try vector([layer.outputNorm.bias])],
            ["activation": .string(activation.operatorName), "epsilon": .float(layer.outputNorm.epsilon)])
    }

    mutating func packedLinear(
        _ x: Value, _ layer: Linear, _ activation: Activation, _ format: apus_format
    ) throws(ApusError) -> Value {
        apply("Linear", domain: .apus, [x] + (try packed([layer], format)), ["activation": .string(activation.operatorName)])
    }

    /// `[T, H]` to `[B, H · modes]`.
    mutating func packedPool(_ rows: Value, _ pooling: PoolingConfiguration) -> Value {
        let parts = pooling.modes.map { mode in
            apply("Pool", domain: .apus, [rows, encoderInput(.starts)], ["mode": .string(mode.operatorName)])
        }
        guard parts.count > 1 else { return parts.first ?? rows }
        return apply("Concat", parts, ["axis": .int(-1)])
    }

    /// Layers of one input size as one: their weights and their biases, which all have or none has.
    private mutating func packed(_ layers: [Linear], _ format: apus_format) throws(ApusError) -> [Value] {
        let weights = layers.map(\.weight)
        let bytes = { () throws(ApusError) in try PackedWeights.linear(weights, format) }
        let blob = try blob(weights.map(\.name).joined(separator: "+"), bytes)
        let biases = layers.compactMap(\.bias)
        return [blob, biases.count == layers.count ? try vector(biases) : .none]
    }

    private mutating func table(_ table: WeightMatrix, _ format: apus_format) throws(ApusError) -> Value {
        try blob(table.name) { () throws(ApusError) in try PackedWeights.table(table, format) }
    }

    private mutating func blob(_ name: String, _ bytes: () throws(ApusError) -> ConstantBytes) throws(ApusError) -> Value {
        let bytes = try bytes()
        return try constant("packed:\(name)", .uint8, [bytes.bytes.count]) { () throws(ApusError) in .borrowed(bytes) }
    }

    /// Vectors one after the other as fp32.
    private mutating func vector(_ parts: [TensorView]) throws(ApusError) -> Value {
        var values: [Float] = []
        for part in parts { values += try part.floats() }
        return try constant(parts.map(\.name).joined(separator: "+"), .float32, [values.count]) { () throws(ApusError) in
            .owned(values.withUnsafeBytes { Array($0) })
        }
    }
}

extension Activation {
    fileprivate var operatorName: String {
        switch self {
        case .gelu: "gelu"
        case .geluTanh: "gelu_tanh"
        case .relu: "relu"
        case .silu: "silu"
        case .tanh: "tanh"
        case .sigmoid: "sigmoid"
        case .identity: "none"
        }
    }
}

extension PoolingConfiguration.Mode {
    fileprivate var operatorName: String {
        switch self {
        case .mean: "mean"
        case .cls: "cls"
        case .lastToken: "last"
        case .max: "max"
        case .meanSqrtLength: "mean_sqrt_length"
        case .weightedMean: "weighted_mean"
        }
    }
}
