package import ApusErrors
package import ApusTensor

/// The seam to hardware: loads models onto one device and runs steps of them.
///
/// An executor has a number of lanes, each a thread that runs one step at a time. Work goes to whichever lane is free first, in
/// the order given, so that no call here ever blocks a thread of Swift's cooperative pool and models share the lanes.
package protocol Executor: Sendable {
    var device: DeviceID { get }
    /// How many steps can run at the same time.
    var laneCount: Int { get }

    /// Makes a model ready to run. Throws `engine_failure`, `out_of_memory` or `unsupported_precision`.
    func load(_ request: LoadRequest) async throws(ApusError) -> any LoadedModel

    /// Starts `work` on the first lane that is free.
    func submit(_ work: @escaping @Sendable () -> Void)
}

/// What an executor is asked to load.
package struct LoadRequest: Sendable {
    package enum Source: Sendable {
        case graph(GraphDescription)
        /// An ONNX file, by path.
        case file(String)
    }

    /// How much the engine may rewrite a graph.
    package enum Optimization: Sendable {
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

    package init(name: String, source: Source, optimization: Optimization = .all) {
        self.name = name
        self.source = source
        self.optimization = optimization
    }
}

/// A model that an executor holds. Its memory is given back when the last reference goes.
package protocol LoadedModel: Sendable {
    var inputs: [ValueDescription] { get }
    var outputs: [ValueDescription] { get }

    /// Runs one step on the calling thread, which must not be one of Swift's cooperative pool, and hands out one output.
    /// `inputs` are matched by name, `output` is a place in ``outputs``. Throws `engine_failure` or `out_of_memory`.
    func run(_ inputs: [String: HostTensor], output: Int, memory: WorkingMemory) throws(ApusError) -> HostTensor
}

/// What becomes of the memory that a step computed in.
package enum WorkingMemory: Sendable {
    /// Kept for the next step.
    case kept
    /// Given back, after a step much larger than usual.
    case released
}
