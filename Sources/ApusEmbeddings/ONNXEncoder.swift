import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusGraph
import ApusTensor

/// An encoder that came as an ONNX file: the file gives token states or finished vectors, a small graph of ours pools the former.
struct ONNXEncoder: Sendable {
    /// Those of the model that is run last.
    var buffers: SharedBuffers { (pooling ?? network).buffers }
    private let network: any LoadedModel
    private let pooling: (any LoadedModel)?
    /// Which of the network's outputs is read.
    private let output: Int

    /// Names under which exporters hand out finished sentence vectors.
    private static let vectorNames = ["sentence_embedding", "sentence_embeddings"]
    /// The output of classifiers.
    private static let logitsName = "logits"
    private static let stateNames = ["last_hidden_state", "token_embeddings", "hidden_states"]

    static func load(
        _ file: ONNXFile, _ checkpoint: Checkpoint, onto executor: any Executor, optimization: LoadRequest.Optimization, stages: [Range<Int>]
    ) async throws(ApusError) -> ONNXEncoder {
        let network = try await executor.load(
            LoadRequest(name: checkpoint.name, source: .file(file.path), optimization: optimization, stages: stages))
        for input in network.inputs {
            guard PaddedInput(rawValue: input.name) != nil, [.int32, .int64].contains(input.elementType) else {
                throw ApusError(
                    .unsupportedModel, "input '\(input.name)' is not one that text encoders have",
                    place: file.path,
                    advice: "Inputs may be \(PaddedInput.allCases.map(\.rawValue).joined(separator: ", ")), of integers")
            }
        }
        let names = network.outputs.map(\.name)
        let vectorNames = checkpoint.classifier == nil ? vectorNames : [logitsName]
        if let output = names.firstIndex(where: { vectorNames.contains($0) }), network.outputs[output].shape.count == 2,
            network.outputs[output].elementType == .float32
        {
            return ONNXEncoder(network: network, pooling: nil, output: output)
        }
        guard checkpoint.classifier == nil else {
            throw ApusError(
                .unsupportedModel, "no output '\(logitsName)' [batch, labels] in fp32, which classifiers have; outputs are \(names)", place: file.path)
        }
        guard
            let output = names.firstIndex(where: { stateNames.contains($0) })
                ?? network.outputs.firstIndex(where: { $0.shape.count == 3 }),
            network.outputs[output].shape.count == 3, network.outputs[output].elementType == .float32
        else {
            throw ApusError(
                .unsupportedModel, "no output holds token states [batch, tokens, hidden] in fp32; outputs are \(names)",
                place: file.path)
        }
        guard case .fixed(let width)? = network.outputs[output].shape.last else {
            throw ApusError(
                .unsupportedModel, "the last dimension of output '\(names[output])' is not fixed", place: file.path)
        }
        let pooling = try await executor.load(
            LoadRequest(
                name: "\(checkpoint.name) pooling", source: .checkpoint(directory: checkpoint.directory, .pooling(width: width))))
        return ONNXEncoder(network: network, pooling: pooling, output: output)
    }

    /// Elements of one vector.
    func dimensions(_ checkpoint: Checkpoint) throws(ApusError) -> Int {
        try SentenceEncoder.dimensions(of: pooling?.outputs.first ?? network.outputs[output], checkpoint)
    }

    func run(_ batch: EncoderBatch, memory: WorkingMemory) throws(ApusError) -> HostTensor {
        var inputs: [String: HostTensor] = [:]
        for input in network.inputs {
            if let known = PaddedInput(rawValue: input.name) { inputs[input.name] = batch.padded(known, as: input.elementType) }
        }
        let result = try network.run(inputs, output: output, memory: memory)
        guard let pooling else { return result }
        guard result.shape.count == 3, result.shape[0] == batch.count, result.shape[1] == batch.longest else {
            throw ApusError(
                .engineFailure,
                "token states have the shape \(result.shape) for \(batch.count) inputs of up to \(batch.longest) tokens")
        }
        var tensors = batch.paddedTensors(for: pooling.inputs)
        tensors[PoolingGraph.input] = result
        let pooled = try pooling.run(tensors, output: 0, memory: memory)
        network.buffers.recycle(result)
        return pooled
    }
}
