package import ApusCheckpoint
package import ApusErrors
package import ApusExecution
package import ApusGraph
import ApusTensor

/// Turns batches of token sequences into vectors, on the calling lane.
package struct SentenceEncoder: Sendable {
    /// Elements of one vector.
    package let dimensions: Int
    /// Whether attention runs over sequences padded to the longest of their batch.
    package let pads: Bool
    private let network: Network

    private enum Network: Sendable {
        case graph(any LoadedModel, EncoderConventions)
        case file(ONNXEncoder)
    }

    /// Loads the network of `checkpoint` onto `executor`. `form` applies to checkpoints whose graph Apus writes itself,
    /// `optimization` to all.
    ///
    /// - Parameters:
    ///   - segmentation: how the network is cut; nil for not at all. Throws `unsupported_plan` for one that came as a file.
    ///   - stages: layers of each stage, for a group of devices, of a file its nodes; empty for one device.
    package static func load(
        _ checkpoint: Checkpoint, onto executor: any Executor, form: NetworkForm = .fusedFP32,
        optimization: LoadRequest.Optimization = .all, segmentation: Segmentation? = nil, stages: [Range<Int>] = []
    ) async throws(ApusError) -> SentenceEncoder {
        switch checkpoint.source {
        case .encoder(let configuration, _):
            let part = segmentation.map { CheckpointPart.segmented(form, $0) } ?? .network(form)
            let model = try await executor.load(
                LoadRequest(
                    name: checkpoint.name, source: .checkpoint(directory: checkpoint.directory, part), optimization: optimization,
                    stages: stages))
            return try SentenceEncoder(
                Self.dimensions(of: model.outputs.first, checkpoint), .graph(model, EncoderGraph.conventions(configuration)), pads: form.style != .kernels)
        case .onnx(let file):
            guard segmentation == nil else {
                throw ApusError(
                    .unsupportedPlan, "the model is an ONNX file, whose network cannot be cut into segments", place: checkpoint.name)
            }
            let encoder = try await ONNXEncoder.load(file, checkpoint, onto: executor, optimization: optimization, stages: stages)
            return try SentenceEncoder(encoder.dimensions(checkpoint), .file(encoder), pads: true)
        }
    }

    private init(_ dimensions: Int, _ network: Network, pads: Bool) {
        self.dimensions = dimensions
        self.pads = pads
        self.network = network
    }

    /// Row-major `[sequences, dimensions]`. Throws what the engine throws, and `engine_failure` for vectors that are not finite.
    package func run(_ batch: EncoderBatch) throws(ApusError) -> [Float] {
        try run(batch) { Array($0[...]) }
    }

    /// The same, handed to `take`, which is to keep nothing of it: its storage is the next step's.
    func run<Result>(_ batch: EncoderBatch, take: ([Float]) -> Result) throws(ApusError) -> Result {
        let memory: WorkingMemory = batch.scoreCount > Self.usualScores ? .released : .kept
        let (result, buffers): (HostTensor, SharedBuffers)
        switch network {
        case .graph(let model, let conventions):
            buffers = model.buffers
            let inputs = batch.tensors(for: model.inputs, conventions, in: buffers)
            result = try model.run(inputs, output: 0, memory: memory)
            buffers.recycle(inputs.values)
        case .file(let encoder):
            buffers = encoder.buffers
            result = try encoder.run(batch, memory: memory)
        }
        defer { buffers.recycle(result) }
        guard let vectors = result.float32, vectors.count == batch.count * dimensions else {
            throw ApusError(.engineFailure, "the model gave no fp32 vector of \(dimensions) elements for each input")
        }
        guard vectors.allSatisfy(\.isFinite) else {
            throw ApusError(.engineFailure, "the model gave a vector that is not finite")
        }
        return take(vectors)
    }

    /// Attention scores a head up to which a batch's memory is kept for the next: 4 MiB a head.
    private static let usualScores = 1_048_576.0

    static func dimensions(of output: ValueDescription?, _ checkpoint: Checkpoint) throws(ApusError) -> Int {
        guard case .fixed(let size)? = output?.shape.last, size > 0 else {
            throw ApusError(
                .unsupportedModel, "the size of the model's vectors is not known before it runs", place: checkpoint.name)
        }
        if let labels = checkpoint.classifier?.labels.count, labels != size {
            throw ApusError(.invalidCheckpoint, "config.json names \(labels) labels, the network gives \(size) logits", place: checkpoint.name)
        }
        return size
    }
}
