package import ApusCheckpoint
package import ApusErrors
import ApusExecution
import CApusKernels

/// Runs texts through an encoder in fp32, layer by layer, and rounds every linear layer to blocks of 4 bits for the inputs that it sees on
/// the way: second-order rounding (``SecondOrderRounding``). On the kernels and in this process, because no engine shows what lies between
/// its operators; one layer's weights are in memory at a time.
package struct CalibrationPass {
    private let encoder: EncoderConfiguration
    private let family: any EncoderFamily
    private let tokens: [EncoderBatch.Sequence]
    /// `[sequences + 1]`.
    private let starts: [Int32]

    /// - Parameter texts: tokens of many different texts, some thousand in all.
    package init(_ encoder: EncoderConfiguration, _ weights: WeightStore, texts: [EncoderBatch.Sequence]) {
        self.encoder = encoder
        family = EncoderGraph.family(encoder, weights)
        tokens = texts.filter { !$0.ids.isEmpty && $0.ids.count <= encoder.longestSequence && $0.typeIDs.count == $0.ids.count }
        starts = tokens.reduce(into: [0]) { $0.append(($0.last ?? 0) + Int32(clamping: $1.ids.count)) }
    }

    private var count: Int { Int(starts.last ?? 0) }

    /// All linear layers of the encoder by the names of their weights.
    ///
    /// - Parameter progress: called with the layers done so far and all.
    /// - Throws: `invalid_checkpoint` for weights that are not finite, `unsupported_model` for sizes that the kernels do not take,
    ///   `invalid_value` for texts without tokens, `out_of_memory`.
    package func blocks(progress: (_ done: Int, _ total: Int) -> Void) throws(ApusError) -> [String: CalibratedLinear] {
        guard count > 0 else { throw ApusError(.invalidValue, "the texts to calibrate with have no tokens") }
        var result: [String: CalibratedLinear] = [:]
        var states = try embeddings()
        let bias = try relativeBias()
        for index in 0..<encoder.layers {
            states = try layer(family.layer(index), states, bias, into: &result)
            progress(index + 1, encoder.layers)
        }
        return result
    }

    private func embeddings() throws(ApusError) -> [Float] {
        let words = try table("embeddings.word_embeddings.weight")
        let positions = try table("embeddings.position_embeddings.weight")
        let types = encoder.typeVocabularySize > 0 ? try table("embeddings.token_type_embeddings.weight") : nil
        let norm = try family.norm("embeddings.LayerNorm")
        let (gamma, beta) = (try norm.weight.floats(), try norm.bias.floats())
        let ids = tokens.flatMap(\.ids)
        let typeIDs = tokens.flatMap(\.typeIDs)
        let first = Int32(clamping: encoder.positionOffset)
        let places = tokens.flatMap { first..<(first + Int32(clamping: $0.ids.count)) }
        var states = [Float](repeating: 0, count: count * encoder.hiddenSize)
        let code = apus_embed(
            words.start, positions.start, types?.start, gamma, beta, norm.epsilon, ids, places, types == nil ? nil : typeIDs, Int64(count),
            &states)
        withExtendedLifetime((words, positions, types)) {}
        try Self.check(code, "embeddings")
        return states
    }

    private func layer(
        _ layer: EncoderLayer, _ x: [Float], _ relativeBias: [Float]?, into result: inout [String: CalibratedLinear]
    ) throws(ApusError) -> [Float] {
        let (width, name) = (encoder.hiddenSize, layer.expand.weight.name)
        let projections = [layer.query, layer.key, layer.value]
        let projection = try PackedWeights.linear(projections.map(\.weight), APUS_FORMAT_FP32)
        let output = try PackedWeights.linear([layer.attentionOutput.weight], APUS_FORMAT_FP32)
        let up = try PackedWeights.linear([layer.expand.weight], APUS_FORMAT_FP32)
        let down = try PackedWeights.linear([layer.contract.weight], APUS_FORMAT_FP32)
        let bqkv = try Self.biases(projections)
        let (bo, b1, b2) = (
            try Self.biases([layer.attentionOutput]), try Self.biases([layer.expand]), try Self.biases([layer.contract])
        )
        guard let qkvStart = projection.start, let outStart = output.start, let upStart = up.start, let downStart = down.start else {
            throw Self.failure(name)
        }
        let heads = Int64(encoder.heads)
        let scale = 1 / Float(encoder.headSize).squareRoot()
        let biasSize = Int64(tokens.reduce(0) { max($0, $1.ids.count) })
        let sequences = Int64(tokens.count)

        try round(projections, seeing: x, into: &result)
        let qkv = try Self.product(qkvStart, x, count: count, outputs: 3 * width, bias: bqkv, APUS_ACT_NONE, name: name)
        var context = [Float](repeating: 0, count: x.count)
        let attentionScratch = try scratch(apus_attention_scratch(APUS_FORMAT_FP32, heads, Int64(encoder.headSize), starts, sequences), name)
        let code = qkv.withUnsafeBufferPointer { qkv -> apus_result in
            guard let q = qkv.baseAddress else { return APUS_BAD_ARGUMENT }
            return apus_attention(
                APUS_FORMAT_FP32, heads, Int64(encoder.headSize), scale, relativeBias, biasSize, q, q + width, q + 2 * width,
                Int64(3 * width), starts, sequences, &context, Int64(width), attentionScratch.address)
        }
        try Self.check(code, name)
        try round([layer.attentionOutput], seeing: context, into: &result)

        var attended = [Float](repeating: 0, count: x.count)
        let (gamma, beta) = (try layer.attentionNorm.weight.floats(), try layer.attentionNorm.bias.floats())
        let half = try scratch(apus_self_attention_scratch(qkvStart, outStart, heads, starts, sequences), name)
        try Self.check(
            apus_self_attention(
                qkvStart, bqkv, outStart, bo, heads, scale, relativeBias, biasSize, gamma, beta, layer.attentionNorm.epsilon, x, starts,
                sequences, &attended, half.address), name)
        try round([layer.expand], seeing: attended, into: &result)

        let activation = encoder.activation.kernel
        let inner = try Self.product(
            upStart, attended, count: count, outputs: encoder.intermediateSize, bias: b1, activation, name: name)
        try round([layer.contract], seeing: inner, into: &result)

        var states = [Float](repeating: 0, count: x.count)
        let (outGamma, outBeta) = (try layer.outputNorm.weight.floats(), try layer.outputNorm.bias.floats())
        let otherHalf = try scratch(apus_feed_forward_scratch(upStart, downStart, Int64(count)), name)
        try Self.check(
            apus_feed_forward(
                upStart, b1, activation, downStart, b2, outGamma, outBeta, layer.outputNorm.epsilon, attended, Int64(count), &states,
                otherHalf.address), name)
        withExtendedLifetime((projection, output, up, down)) {}
        return states
    }

    private func round(
        _ layers: [GraphWriter.Linear], seeing rows: [Float], into result: inout [String: CalibratedLinear]
    ) throws(ApusError) {
        guard let first = layers.first else { return }
        var moments = InputMoments(width: first.weight.columns)
        try moments.add(rows, layer: first.weight.name)
        let rounding = try SecondOrderRounding(moments, layer: first.weight.name)
        for layer in layers { result[layer.weight.name] = try rounding.blocks(of: layer) }
    }

    /// `[heads, S, S]`, S the longest sequence; nil for families without it.
    private func relativeBias() throws(ApusError) -> [Float]? {
        guard let buckets = encoder.relativeAttentionBuckets else { return nil }
        let table = try family.tensor("encoder.relative_attention_bias.weight").floats()
        let places = RelativeBuckets(count: buckets).table(size: tokens.reduce(0) { max($0, $1.ids.count) })
        return (0..<encoder.heads).flatMap { head in places.map { table[Int($0) * encoder.heads + head] } }
    }

    private func table(_ name: String) throws(ApusError) -> (bytes: ConstantBytes, start: UnsafeRawPointer) {
        let bytes = try PackedWeights.table(try family.matrix(name), APUS_FORMAT_FP32)
        guard let start = bytes.start else { throw Self.failure(name) }
        return (bytes, start)
    }

    private func scratch(_ size: Int, _ name: String) throws(ApusError) -> HostBlock { try HostBlock(byteCount: size, name: name) }

    private static func biases(_ layers: [GraphWriter.Linear]) throws(ApusError) -> [Float]? {
        var values: [Float] = []
        for layer in layers {
            guard let bias = layer.bias else { return nil }
            values += try bias.floats()
        }
        return values
    }
}

extension CalibrationPass {
    /// `activation(x · weightᵀ + bias)` of a blob with `outputs` output channels, `[count, outputs]`.
    static func product(
        _ blob: UnsafeRawPointer, _ x: [Float], count: Int, outputs: Int, bias: [Float]?, _ activation: apus_activation, name: String
    ) throws(ApusError) -> [Float] {
        let scratch = try HostBlock(byteCount: apus_linear_scratch(blob, Int64(count)), name: name)
        var y = [Float](repeating: 0, count: count * outputs)
        try check(apus_linear(blob, bias, activation, x, Int64(count), &y, scratch.address), name)
        return y
    }

    static func check(_ result: apus_result, _ name: String) throws(ApusError) {
        if result != APUS_OK { throw failure(name) }
    }

    static func failure(_ name: String) -> ApusError {
        ApusError(.invalidCheckpoint, "the layer cannot be computed: a value is not finite or a size is not supported", place: name)
    }
}

extension ConstantBytes {
    fileprivate var start: UnsafeRawPointer? { bytes.baseAddress }
}

extension Activation {
    fileprivate var kernel: apus_activation {
        switch self {
        case .gelu: APUS_ACT_GELU
        case .geluTanh: APUS_ACT_GELU_TANH
        case .relu: APUS_ACT_RELU
        case .silu: APUS_ACT_SILU
        case .tanh: APUS_ACT_TANH
        case .sigmoid: APUS_ACT_SIGMOID
        case .identity: APUS_ACT_NONE
        }
    }
}
