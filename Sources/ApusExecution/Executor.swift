package import ApusErrors
package import ApusTensor

/// The seam to hardware: loads models onto one device and runs steps of them, in this process or in a worker's.
///
/// An executor has a number of lanes, each a thread that runs one step at a time. Work goes to whichever lane is free first, in
/// the order given, so that no call here ever blocks a thread of Swift's cooperative pool and models share the lanes.
package protocol Executor: AnyObject, Sendable {
    var device: DeviceID { get }
    /// The devices of a group; nil for an executor of one device.
    var group: GroupShape? { get }
    /// How many steps can run at the same time.
    var laneCount: Int { get }

    /// Makes a model ready to run. Throws `engine_failure`, `out_of_memory`, `unsupported_precision`, what reading the model
    /// throws, and the device's own failures (``DeviceFailure``).
    func load(_ request: LoadRequest) async throws(ApusError) -> any LoadedModel

    /// Starts `work` on the first lane that is free.
    func submit(_ work: @escaping @Sendable () -> Void)

    /// Runs `work`, which may block and may run steps, beside the lanes. Throws what it throws, and `cancelled` when the task is
    /// cancelled before it starts.
    func prepare<Value: Sendable>(
        _ work: @escaping @Sendable () throws(ApusError) -> Value
    ) async throws(ApusError) -> Value

    /// What the device's allocators hold for the models loaded here. Throws the device's own failures.
    func memory() async throws(ApusError) -> DeviceMemory

    /// What the devices of a group hold and have done; nil for executors of one device. Throws the devices' own failures.
    func groupState() async throws(ApusError) -> GroupState?

    /// Gives memory back that is held for later use; loaded models stay.
    func clearCache() async throws(ApusError)

    /// Takes down profiles of the next `steps` steps, and returns at once. When they have run, one file for each model is in
    /// `logs/gpu_profiles` under `directory`. Throws `invalid_value` for a number of steps that cannot be taken down, `file_unwritable`,
    /// and the device's own failures.
    func profile(steps: Int, into directory: String) async throws(ApusError)

    /// Ends the executor: loads and steps fail from now on, and whatever it holds is given back. Waits for no device.
    func shutdown() async
}

extension Executor {
    package var group: GroupShape? { nil }

    package func groupState() async throws(ApusError) -> GroupState? { nil }

    /// For devices without an engine, which have nothing to take down.
    package func profile(steps: Int, into directory: String) async throws(ApusError) {
        throw ApusError(.invalidValue, "\(device) has no engine whose steps could be profiled", place: "\(device)")
    }
}

/// A model that an executor holds. Its memory is given back when the last reference goes.
package protocol LoadedModel: Sendable {
    var inputs: [ValueDescription] { get }
    var outputs: [ValueDescription] { get }
    /// Which execution provider took how many of the graph's nodes.
    var assignment: NodeAssignment { get }
    /// Storage for the tensors of its steps. Inputs that were made in it, and outputs that were taken apart, are given back to it.
    var buffers: SharedBuffers { get }

    /// Runs one step on the calling thread, which must not be one of Swift's cooperative pool, and hands out one output.
    /// `inputs` are matched by name, `output` is a place in ``outputs``. Throws `engine_failure`, `out_of_memory` and the device's
    /// own failures.
    func run(_ inputs: [String: HostTensor], output: Int, memory: WorkingMemory) throws(ApusError) -> HostTensor

    /// The same with several outputs, each a place in ``outputs``, handed out in the order in which they are named.
    func run(_ inputs: [String: HostTensor], outputs: [Int], memory: WorkingMemory) throws(ApusError) -> [HostTensor]
}

extension LoadedModel {
    /// None is kept.
    package var buffers: SharedBuffers { .none }

    /// One step for each output, for models that hand out one at a time.
    package func run(_ inputs: [String: HostTensor], outputs: [Int], memory: WorkingMemory) throws(ApusError) -> [HostTensor] {
        var results: [HostTensor] = []
        for output in outputs { results.append(try run(inputs, output: output, memory: memory)) }
        return results
    }
}

/// What becomes of the memory that a step computed in.
package enum WorkingMemory: Sendable {
    /// Kept for the next step.
    case kept
    /// Given back, after a step much larger than usual.
    case released
}
