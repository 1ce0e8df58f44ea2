import ApusCheckpoint
import ApusEmbeddings
import ApusErrors
import ApusExecution
import ApusTensor
import ApusTokenizers

/// How a text encoder comes onto a device: proven by the built-in sentences.
struct EncoderRecipe: ModelRecipe {
    let checkpoint: Checkpoint
    let tokenizer: Tokenizer
    let answer: KnownAnswer
    let optimization: LoadRequest.Optimization
    /// Elements of a vector.
    let dimensions: Int

    func load(onto executor: any Executor) async throws(ApusError) -> SentenceEncoder {
        let encoder = try await SentenceEncoder.load(
            checkpoint, onto: executor, form: executor.device.kind.networkForm, optimization: optimization)
        guard encoder.dimensions == dimensions else {
            throw ApusError(
                .wrongAnswer, "the network gives \(encoder.dimensions) elements a vector where \(dimensions) are known", place: checkpoint.name)
        }
        return encoder
    }

    func lowestCosine(of encoder: SentenceEncoder) throws(ApusError) -> Double? {
        try answer.lowestCosine(encoder, tokenizer, maxTokens: checkpoint.maxTokens)
    }
}

extension Checkpoint {
    /// What a model runs in: fp32 where Apus writes the network, else what its file holds.
    var servedPrecision: Precision {
        switch source {
        case .encoder: .fp32
        case .onnx(let file): file.precision
        }
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
