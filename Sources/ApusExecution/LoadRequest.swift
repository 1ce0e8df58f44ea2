package import ApusErrors

/// What an executor is asked to load: where it lies and which part of it, never the weights themselves, so that the process which runs a
/// model reads it.
package struct LoadRequest: Sendable, Equatable {
    package enum Source: Sendable, Equatable {
        /// A network that Apus writes, from the checkpoint in a directory.
        case checkpoint(directory: String, CheckpointPart)
        /// An ONNX file, by path, or a part of its network; nil for the whole.
        case file(String, FileSlice? = nil)
    }

    /// How much the engine may rewrite a graph.
    package enum Optimization: String, Sendable, CaseIterable {
        /// Operators run as they are written.
        case none
        /// Only rewrites that hold on every device.
        case basic
        /// Fused operators too.
        case extended
        /// Whatever the engine knows.
        case all
    }

    /// Names the model in errors and profiles.
    package var name: String
    package var source: Source
    package var optimization: Optimization
    /// Layers of each stage, one after the other, for executors that are a group of devices, of a file its nodes; empty for one device.
    package var stages: [Range<Int>]

    package init(name: String, source: Source, optimization: Optimization = .all, stages: [Range<Int>] = []) {
        self.name = name
        self.source = source
        self.optimization = optimization
        self.stages = stages
    }
}

/// What is made of a checkpoint.
package enum CheckpointPart: Sendable, Equatable {
    /// The encoder, the modules behind it included: packed tokens in, one vector for each sequence out. Of a slice, only what it has of
    /// that; nil for the whole.
    case network(NetworkForm, NetworkSlice? = nil)
    /// The whole encoder in segments that one device runs one after the other.
    case segmented(NetworkForm, Segmentation)
    /// Only the modules: padded token states of this width in, one vector for each sequence out.
    case pooling(width: Int)
}

/// Writes the graphs that load requests name.
package protocol GraphSource: Sendable {
    /// Reads the checkpoint in `directory` and describes `part` of it. Blocks.
    func graph(directory: String, _ part: CheckpointPart) throws(ApusError) -> DescribedGraph

    /// A part of the ONNX file at `path` as a model of its own, in ONNX's encoding. Blocks.
    ///
    /// - Parameter converting: outputs of the part whose types tensors between parts do not have, as the file calls them. They cross in types that
    ///   are as exact. Throws `unsupported_plan` where there is none.
    func part(ofFile path: String, _ slice: FileSlice, converting: [ValueDescription]) throws(ApusError) -> [UInt8]

    /// Bytes of the weights of a file, or of a part of it; 0 where they are not known.
    func weightBytes(ofFile path: String, _ slice: FileSlice?) -> Int

    /// Reads the checkpoint in `directory` and cuts its network into `count` segments of about equal weight. Blocks. Throws
    /// `unsupported_plan` for more segments than the network has layers.
    func segments(directory: String, _ form: NetworkForm, count: Int) throws(ApusError) -> any SegmentedNetwork
}

extension GraphSource {
    package func weightBytes(ofFile path: String, _ slice: FileSlice?) -> Int { 0 }

    /// For sources without files.
    package func part(ofFile path: String, _ slice: FileSlice, converting: [ValueDescription]) throws(ApusError) -> [UInt8] {
        throw ApusError(.unsupportedPlan, "this file cannot be cut", place: path)
    }

    /// For sources whose networks are not cut.
    package func segments(directory: String, _ form: NetworkForm, count: Int) throws(ApusError) -> any SegmentedNetwork {
        throw ApusError(.unsupportedPlan, "this network cannot be cut into segments", place: directory)
    }
}

/// A graph on its way into an engine.
package struct DescribedGraph: Sendable {
    package let graph: GraphDescription
    /// To be called once the engine holds the graph: gives back the pages that were read for it.
    package let loaded: @Sendable () -> Void

    package init(_ graph: GraphDescription, loaded: @escaping @Sendable () -> Void = {}) {
        self.graph = graph
        self.loaded = loaded
    }
}
