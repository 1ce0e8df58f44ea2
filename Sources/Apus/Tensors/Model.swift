import ApusBatching
public import ApusErrors
import ApusScheduling
public import ApusTensor

/// Any ONNX model whose inputs have a batch axis, in this process.
///
/// ```swift
/// let model = try await Model.load("resnet.onnx")
/// let picture = try Tensor(shape: [3, 224, 224], .float32(pixels))
/// let scores = try await model.execute(["pixel_values": picture])["logits"]
/// ```
///
/// One model serves any number of tasks at once; what they ask at the same moment shares batches, and every item gets what it would get
/// alone. Items have no batch axis: Apus stacks those of equal shapes along the model's first axis. Models whose first axis has the fixed
/// size 1 run item by item.
public final class Model: Sendable {
    /// The name it was loaded under.
    public var name: String { ready.name }
    /// What one item is made of.
    public var inputs: [TensorDescription] { ready.signature.inputs }
    /// What comes of one item.
    public var outputs: [TensorDescription] { ready.signature.outputs }
    /// What the weights are stored in.
    public var precision: Precision { ready.precision }
    /// Where it runs now. Empty while a device that failed is being replaced.
    public var devices: [DeviceID] { ready.scheduler.openDevices }
    /// The lowest cosine, over devices and generated inputs, to what the plain graph computes on a CPU; 0 to 1.
    public var agreement: Double? { ready.cosines.values.min() }

    private let ready: ReadyTensorModel
    private let owner: OwnedRoom

    init(_ ready: ReadyTensorModel, _ owner: OwnedRoom) {
        self.ready = ready
        self.owner = owner
    }

    /// Loads an ONNX file and proves it on generated inputs.
    ///
    /// - Parameters:
    ///   - path: of the file. Tensors in files beside it are found.
    ///   - installation: Where the engine is looked for.
    ///   - execution: In this process, or in workers that can fail without it.
    /// - Throws: ``ApusError`` with a code such as `engine_missing`, `file_unreadable`, `invalid_checkpoint`, `unsupported_model` (no batch axis,
    ///   element types other than float32, int32 and int64), `invalid_value` for the batching, `insufficient_memory`, `wrong_answer`.
    public static func load(
        _ path: String, batching: Batching = .dynamic(), installation: Installation = Installation(), execution: Execution = .inProcess
    ) async throws(ApusError) -> Model {
        let policy = try batching.policy()
        let owner = OwnedRoom(try EngineRoom(installation: installation, execution: execution))
        return Model(try await owner.room.loadTensors(path: path, name: Self.name(ofFile: path), policy: policy), owner)
    }

    /// Loads an ONNX file that several devices share: each holds all of it, or the part between two of its tensors.
    ///
    /// - Throws: what ``load(_:batching:installation:execution:)`` throws, `invalid_value` for devices that there are not, and `unsupported_plan` for what is
    ///   impossible, with the reason and the nearest plan or cut that works.
    public static func load(
        _ path: String, sharing parallelism: Parallelism, batching: Batching = .dynamic(), installation: Installation = Installation(),
        execution: Execution = .inProcess
    ) async throws(ApusError) -> Model {
        let policy = try batching.policy()
        let name = name(ofFile: path)
        let planned = try await parallelism.planned(file: path, name: name, installation, execution)
        let owner = OwnedRoom(try EngineRoom(installation: installation, plan: planned.fleet, execution: execution))
        return Model(try await owner.room.loadTensors(path: path, name: name, policy: policy), owner)
    }

    /// Runs one item.
    ///
    /// - Parameters:
    ///   - inputs: a tensor for each of ``inputs``, by name.
    ///   - priority: whose turn it is where the batching knows classes.
    ///   - deadline: when the answer stops being of use; nil waits for ever.
    /// - Returns: a tensor for each of ``outputs``, by name.
    /// - Throws: `invalid_value` for tensors that are not those of an item, `cancelled` when the surrounding task is, `deadline_exceeded`,
    ///   `overloaded`, `model_unloaded`, `no_device`, and the engine's failures.
    public func execute(
        _ inputs: [String: Tensor], priority: RequestPriority = .medium, deadline: ContinuousClock.Instant? = nil
    ) async throws(ApusError) -> [String: Tensor] {
        try await batchExecute([inputs], priority: priority, deadline: deadline).first ?? [:]
    }

    /// Runs any number of items; the results come in their order. Throws what ``execute(_:priority:deadline:)`` throws for the first item that
    /// fails.
    public func batchExecute(
        _ items: [[String: Tensor]], priority: RequestPriority = .medium, deadline: ContinuousClock.Instant? = nil
    ) async throws(ApusError) -> [[String: Tensor]] {
        var outputs: [[String: Tensor]] = []
        outputs.reserveCapacity(items.count)
        for result in try await ready.run(items, BatchOptions(deadline: deadline, priority: priority.batching)) { outputs.append(try result.get()) }
        return outputs
    }

    /// The same where items that fail leave the others alone: the reason stands in their place.
    public func batchResults(
        _ items: [[String: Tensor]], priority: RequestPriority = .medium, deadline: ContinuousClock.Instant? = nil
    ) async throws(ApusError) -> [Result<[String: Tensor], ApusError>] {
        try await ready.run(items, BatchOptions(deadline: deadline, priority: priority.batching, isPartial: true))
    }

    /// The file's name without its ending.
    private static func name(ofFile path: String) -> String {
        let file = path.split(separator: "/").last ?? ""
        return String(file.hasSuffix(".onnx") ? file.dropLast(5) : file)
    }
}
