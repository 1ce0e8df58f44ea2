import ApusErrors
import ApusExecution
import ApusORT
import ApusTensor

/// Brings the segments of one network onto a device.
struct SegmentLoader: Sendable {
    let name: String
    let network: any SegmentedNetwork
    let segmentation: Segmentation
    /// Steps that run at the same time.
    let lanes: Int
    var buffers: SharedBuffers { state.buffers }
    private let optimization: LoadRequest.Optimization
    private let part: @Sendable (NetworkSlice) -> CheckpointPart
    private let directory: String
    private let engine: Engine
    private let provider: ExecutionProvider
    private let settings: ExecutorSettings
    private let state: ExecutorState

    /// Cuts the network. Throws what reading the checkpoint throws, and `unsupported_plan` for more segments than layers.
    init(
        _ request: LoadRequest, directory: String, _ form: NetworkForm, _ segmentation: Segmentation, _ graphs: any GraphSource,
        _ engine: Engine, _ provider: ExecutionProvider, _ settings: ExecutorSettings, _ state: ExecutorState
    ) throws(ApusError) {
        network = try graphs.segments(directory: directory, form, count: segmentation.count)
        name = request.name
        self.segmentation = segmentation
        lanes = settings.device.kind.computesOnCPU ? settings.lanes : 1
        optimization = request.optimization
        part = { .network(form, $0) }
        self.directory = directory
        self.engine = engine
        self.provider = provider
        self.settings = settings
        self.state = state
    }

    /// Reads one segment's weights and makes it ready to run. Blocks.
    func open(_ slice: NetworkSlice) throws(ApusError) -> SessionModel {
        let request = LoadRequest(
            name: "\(name), \(slice)", source: .checkpoint(directory: directory, part(slice)), optimization: optimization)
        let model = try SessionModel(request, engine, provider, settings, SliceGraphs(network: network, slice: slice), state)
        state.add(model)
        return model
    }

    /// One segment over one chunk.
    ///
    /// - Parameter hidden: what the segment before made of the chunk; nil for the first.
    func run(_ segment: SessionModel, _ chunk: any SegmentChunk, _ hidden: HostTensor?) throws(ApusError) -> HostTensor {
        var inputs = chunk.tensors(for: segment.inputs)
        if let hidden { inputs[NetworkSlice.hiddenInput] = hidden }
        let result = try segment.run(inputs, output: 0, memory: .released)
        // The states' storage is the next segment's.
        if let hidden { buffers.recycle(hidden) }
        return result
    }

    /// The vectors of all chunks as the one result of a step.
    func joined(_ parts: [HostTensor]) throws(ApusError) -> HostTensor {
        guard let first = parts.first else { throw ApusError(.engineFailure, "a step without a sequence", place: name) }
        var rows = 0
        var values: [Float] = []
        values.reserveCapacity(parts.reduce(0) { $0 + $1.count })
        for part in parts {
            guard let floats = part.float32, let count = part.shape.first, part.shape.dropFirst() == first.shape.dropFirst() else {
                throw ApusError(.engineFailure, "the chunks of a batch gave vectors of different kinds", place: name)
            }
            values += floats
            rows += count
        }
        return HostTensor([rows] + first.shape.dropFirst(), .float32(values))
    }
}

/// The one graph that a segment is.
private struct SliceGraphs: GraphSource {
    let network: any SegmentedNetwork
    let slice: NetworkSlice

    func graph(directory: String, _ part: CheckpointPart) throws(ApusError) -> DescribedGraph {
        try network.graph(slice)
    }
}

extension NodeAssignment {
    /// Of several graphs together.
    init(joining parts: [NodeAssignment]) {
        var shares: [Share] = []
        for share in parts.flatMap(\.shares) {
            if let place = shares.firstIndex(where: { $0.provider == share.provider }) {
                shares[place].nodes += share.nodes
                shares[place].operators = Set(shares[place].operators + share.operators).sorted()
            } else {
                shares.append(share)
            }
        }
        self.init(shares)
    }
}
