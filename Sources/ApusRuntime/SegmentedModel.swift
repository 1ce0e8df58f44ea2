import ApusErrors
import ApusExecution

/// A model whose segments are all loaded: each chunk of a batch goes through all of them before the next chunk begins, so that the hidden
/// states of one chunk and what one segment computes in are all that is in memory for a lane.
final class SegmentedModel: LoadedModel {
    let inputs: [ValueDescription]
    let outputs: [ValueDescription]
    let assignment: NodeAssignment
    var buffers: SharedBuffers { loader.buffers }
    private let loader: SegmentLoader
    private let segments: [SessionModel]

    init(_ loader: SegmentLoader) throws(ApusError) {
        self.loader = loader
        inputs = loader.network.inputs
        var segments: [SessionModel] = []
        for slice in loader.network.slices { segments.append(try loader.open(slice)) }
        self.segments = segments
        outputs = segments.last?.outputs ?? []
        assignment = NodeAssignment(joining: segments.map(\.assignment))
    }

    func run(_ tensors: [String: HostTensor], output: Int, memory: WorkingMemory) throws(ApusError) -> HostTensor {
        var vectors: [HostTensor] = []
        for chunk in try loader.network.chunks(of: tensors, atMost: loader.segmentation.chunkTokens) {
            var hidden: HostTensor?
            for segment in segments { hidden = try loader.run(segment, chunk, hidden) }
            if let hidden { vectors.append(hidden) }
        }
        return try loader.joined(vectors)
    }
}
