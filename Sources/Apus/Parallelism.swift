import ApusCheckpoint
import ApusDevices
public import ApusErrors
import ApusExecution
import ApusPlacement
import ApusScheduling
public import ApusTensor
import ApusVectors

/// How several devices share a model.
public struct Parallelism: Sendable, Equatable {
    public enum Strategy: String, Sendable, CaseIterable {
        /// Whole models side by side.
        case dataParallel = "data_parallel"
        /// Layers cut into stages.
        case pipeline
        /// Heads and feed-forward columns cut into shards.
        case tensor
        /// Both.
        case hybrid
        /// What fits and is predicted to be fastest.
        case automatic = "auto"
        /// One device.
        case oneDevice = "none"
    }

    /// `cpu:2` (two logical CPU devices), `cpu:4`, …
    public var devices: String
    public var strategy: Strategy
    /// Devices that share each layer; nil leaves it to the strategy.
    public var tensorParallel: Int?
    /// Stages; nil leaves it to the strategy.
    public var pipelineParallel: Int?
    /// Times that the model is loaded; nil for as often as there are devices for.
    public var replicas: Int?
    /// Tensors of an ONNX file behind which it is cut into stages, in the order in which they are computed; empty leaves it to Apus.
    public var cuts: [String]

    public init(
        devices: String, strategy: Strategy = .automatic, tensorParallel: Int? = nil, pipelineParallel: Int? = nil, replicas: Int? = nil,
        cuts: [String] = []
    ) {
        self.devices = devices
        self.strategy = strategy
        self.tensorParallel = tensorParallel
        self.pipelineParallel = pipelineParallel
        self.replicas = replicas
        self.cuts = cuts
    }

    /// The devices, with a plan for the model in `directory`, which is measured where stages are to be balanced. Throws `invalid_value` for a list that names
    /// no devices, and `unsupported_plan`.
    func planned(
        _ directory: String, _ precision: PrecisionRequest, _ installation: Installation, _ execution: Execution
    ) async throws(ApusError) -> PlannedFleet {
        let outline = try await BlockingWork.run { () throws(ApusError) in
            try NetworkOutline(try Checkpoint(directory: directory), cuts: self.cuts)
        }
        return try await planned(outline, .directory(directory), directory, precision, installation, execution)
    }

    /// The same for the model in an ONNX file of any tensors.
    func planned(file path: String, name: String, _ installation: Installation, _ execution: Execution) async throws(ApusError) -> PlannedFleet {
        let (file, outline) = try await BlockingWork.run { () throws(ApusError) in
            let file = try ONNXFile(path: path)
            return (file, try NetworkOutline(file, try file.pieces(self.cuts), name: name))
        }
        return try await planned(outline, .file(file), path, PrecisionRequest(), installation, execution)
    }

    private func planned(
        _ outline: NetworkOutline, _ subject: LayerTrials.Subject, _ path: String, _ precision: PrecisionRequest, _ installation: Installation,
        _ execution: Execution
    ) async throws(ApusError) -> PlannedFleet {
        var devices = DeviceWishes()
        devices.list = try DeviceWishes.List(self.devices, origin: .commandLine("devices"))
        let inventory = Inventory(cpu: .current, gpuAbsence: "the library plans for CPU devices, `apus serve` for GPUs, too")
        let library = try installation.engineLibrary()
        let planned = try FleetPlanner(devices, inventory, engineLibrary: library).plan()
        var wishes = ParallelWishes()
        wishes.strategy = ParallelWishes.Strategy(rawValue: strategy.rawValue) ?? .automatic
        wishes.tensorParallel = tensorParallel
        wishes.pipelineParallel = pipelineParallel
        wishes.replicas = replicas
        wishes.cuts = cuts
        let trials = LayerTrials(installation: installation, engineLibrary: library, execution: execution)
        let models = [LayerTrials.Model(outline: outline, subject: subject, precision: precision, path: path)]
        return try await planned.sharing(models, wishes, tokens: DeviceID.Kind.cpu.tokenBudget, trials)
    }
}

extension Embedder {
    /// Loads a model that several devices share, as ``load(_:precision:precisionFloor:segments:offload:batching:installation:execution:)`` loads one
    /// that one device has.
    ///
    /// - Throws: what that throws, `invalid_value` for devices that there are not, and `unsupported_plan` for what is impossible, with the arithmetic and
    ///   the nearest plan that works.
    public static func load(
        _ model: String = Installation.defaultModel, sharing parallelism: Parallelism, precision: Precision = .auto,
        precisionFloor: Double? = nil, batching: Batching = .dynamic(), caching: Caching = .memory(),
        installation: Installation = Installation(), execution: Execution = .inProcess
    ) async throws(ApusError) -> Embedder {
        let directory = try installation.modelDirectory(model)
        let policy = try batching.policy()
        let request = try PrecisionRequest(precision, checkedFloor: precisionFloor)
        let planned = try await parallelism.planned(directory, request, installation, execution)
        let owner = OwnedRoom(try EngineRoom(installation: installation, plan: planned.fleet, execution: execution, cache: try caching.open()))
        let ready = try await owner.room.load(directory: directory, precision: request, policy: policy)
        await owner.room.cache?.waitUntilRestored()
        return Embedder(ready, owner)
    }
}
