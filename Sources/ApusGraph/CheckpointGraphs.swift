import ApusCheckpoint
package import ApusErrors
package import ApusExecution

/// Writes the graphs of checkpoints on disk.
package struct CheckpointGraphs: GraphSource {
    package init() {}

    /// Throws what reading the checkpoint throws, and `unsupported_model` for a network that Apus does not write.
    package func graph(directory: String, _ part: CheckpointPart) throws(ApusError) -> DescribedGraph {
        let checkpoint = try Checkpoint(directory: directory)
        let graph: GraphDescription
        switch part {
        case .network(let form, let slice):
            guard case .encoder(let configuration, let weights) = checkpoint.source else {
                throw ApusError(.unsupportedModel, "this checkpoint is an ONNX file, its network is not written by Apus", place: directory)
            }
            graph = try EncoderGraph.describe(configuration, weights, checkpoint.modules, form: form, slice: slice)
        case .segmented:
            throw ApusError(.unsupportedPlan, "a network in segments is no single graph", place: directory)
        case .pooling(let width):
            graph = try PoolingGraph.describe(width: width, checkpoint.modules)
        }
        return DescribedGraph(graph) { checkpoint.releaseMappedPages() }
    }

    package func part(ofFile path: String, _ slice: FileSlice, converting: [ValueDescription]) throws(ApusError) -> [UInt8] {
        let graph = try ONNXGraph(path: path)
        guard graph.nodeCount == slice.nodeCount else {
            throw ApusError(.unsupportedPlan, "the file has \(graph.nodeCount) nodes where \(slice) were planned", place: path)
        }
        let given = slice.handedOn.map { value in
            ONNXGraph.Given(
                ONNXPassage(crossing: value.name, value.elementType),
                shape: value.shape.map { size in if case .fixed(let size) = size { size } else { nil } })
        }
        var passages: [ONNXPassage] = []
        for value in converting {
            guard let passage = ONNXPassage(value.name, value.elementType) else {
                throw ApusError(
                    .unsupportedPlan, "'\(value.name)' would cross a cut, and \(value.elementType) cannot be handed on exactly", place: path,
                    advice: "Cut the network elsewhere: `apus plan` tells where")
            }
            passages.append(passage)
        }
        return try graph.part(slice.nodes, given: given, handingOn: passages)
    }

    package func weightBytes(ofFile path: String, _ slice: FileSlice?) -> Int {
        (try? ONNXGraph(path: path))?.weightBytes(of: slice?.nodes) ?? 0
    }

    package func segments(directory: String, _ form: NetworkForm, count: Int) throws(ApusError) -> any SegmentedNetwork {
        try EncoderSegments(try Checkpoint(directory: directory), form, count: count)
    }
}
