import ApusCheckpoint
import ApusEmbeddings
import ApusErrors
import ApusExecution
import ApusPlacement
import ApusTensor
import ApusTokenizers

/// How a text encoder comes onto a device: proven by the built-in sentences.
struct EncoderRecipe: ModelRecipe {
    let checkpoint: Checkpoint
    let tokenizer: Tokenizer
    let answer: KnownAnswer
    let optimization: LoadRequest.Optimization
    /// What was chosen for each device.
    let forms: [DeviceID: ServedForm]
    /// Elements of a vector.
    let dimensions: Int
    /// For groups of devices; nil where there are none.
    var cuts: StageCuts?

    func served(on device: DeviceID) -> ServedForm {
        if let form = forms[device] { return form }
        switch checkpoint.source {
        case .encoder:
            return ServedForm(
                PrecisionChoice(unmeasured: device.kind.networkForm, floor: Precision.fp32.knownAnswerFloor, reason: "nothing was asked for"))
        case .onnx(let file): return ServedForm(file: file.precision)
        }
    }

    func load(onto executor: any Executor, _ segmentation: Segmentation?) async throws(ApusError) -> SentenceEncoder {
        let form = served(on: executor.device).form ?? executor.device.kind.networkForm
        var stages: [Range<Int>] = []
        if let group = executor.group { stages = try self.stages(for: group) }
        let encoder = try await SentenceEncoder.load(checkpoint, onto: executor, form: form, optimization: optimization, segmentation: segmentation,
            stages: stages)
        guard encoder.dimensions == dimensions else {
            throw ApusError(
                .wrongAnswer, "the network gives \(encoder.dimensions) elements a vector where \(dimensions) are known", place: checkpoint.name)
        }
        return encoder
    }

    private func stages(for shape: GroupShape) throws(ApusError) -> [Range<Int>] {
        guard let cuts else { throw ApusError(.unsupportedPlan, "nothing says how the layers are cut for \(shape)", place: checkpoint.name) }
        return try cuts.stages(for: shape)
    }

    func shares(in shape: GroupShape) throws(ApusError) -> [GroupShare] {
        guard let cuts else { return shape.devices.flatMap(\.self).map { GroupShare(device: $0) } }
        return try cuts.shares(in: shape)
    }

    func lowestCosine(of encoder: SentenceEncoder) throws(ApusError) -> Double? {
        try answer.lowestCosine(encoder, tokenizer, of: .few(for: checkpoint))
    }
}

extension DeviceID.Kind {
    /// The operators that devices of this kind have kernels for in fp32: the fused attention is 16-bit only on GPUs, and what a provider
    /// cannot run would fall to the CPU node by node.
    var networkForm: NetworkForm {
        switch self {
        case .cpu, .sim: .fusedFP32
        case .cuda, .openvino, .webgpu, .tensorrtrtx: .plainFP32
        }
    }
}
