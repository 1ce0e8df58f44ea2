import ApusErrors
import ApusExecution
import ApusGraph
import ApusParallel
import ApusRuntime
import ApusTensor
import Foundation

/// A model on an executor, and steps of it on the executor's lanes.
struct Runner: Sendable {
    let executor: any Executor
    let model: any LoadedModel

    static func device(_ index: Int, cores: [Int], engine: String, lanes: Int = 1) -> ExecutorSettings {
        ExecutorSettings(device: DeviceID(.cpu, index), lanes: lanes, cores: cores, engineLibrary: engine)
    }

    /// The whole model on one device that is kept on these cores.
    static func whole(_ workload: Workload, _ form: NetworkForm, device: Int = 0, cores: [Int], engine: String) async throws -> Runner {
        var settings = Self.device(device, cores: cores, engine: engine)
        settings.group = try GroupShape([[GroupShape.Member(DeviceID(.cpu, device), cores: cores)]])
        let group = try GroupExecutor.assemble(settings, make)
        guard let alone = group.members.first?.first else { throw ApusError(.engineFailure, "the group has no device") }
        return Runner(executor: alone, model: try await alone.load(workload.request(form)))
    }

    /// Stages of ranks, each device on one core, as long as there are some.
    static func split(
        _ workload: Workload, _ form: NetworkForm, stages: Int, ranks: Int, ends: [Int]? = nil, lanes: Int? = nil, cores: Int, engine: String
    ) async throws -> Runner {
        var settings = Self.device(0, cores: [], engine: engine, lanes: lanes ?? GroupExecutor.lanes(stages: stages))
        settings.group = try GroupShape(
            (0..<stages).map { stage in
                (0..<ranks).map { rank in
                    let number = stage * ranks + rank
                    return GroupShape.Member(DeviceID(.cpu, number), cores: [number % cores])
                }
            })
        let group = try GroupExecutor.assemble(settings, make)
        let bounds = [0] + (ends ?? (1...stages).map { $0 * workload.layers / stages })
        let layers = zip(bounds, bounds.dropFirst()).map { $0..<$1 }
        return Runner(executor: group, model: try await group.load(workload.request(form, stages: layers)))
    }

    private static let make: @Sendable (ExecutorSettings) throws(ApusError) -> any Executor = { settings throws(ApusError) in
        try InProcessExecutor(settings, graphs: CheckpointGraphs())
    }

    /// Runs all of them, as many at the same time as there are lanes, and tells their outputs in order and the seconds that it took.
    func run(_ inputs: [[String: HostTensor]]) async throws -> (outputs: [HostTensor], seconds: Double) {
        let (executor, model) = (executor, model)
        let started = ContinuousClock.now
        let results = await withTaskGroup(of: (Int, Result<HostTensor, ApusError>).self) { tasks in
            for (index, tensors) in inputs.enumerated() {
                tasks.addTask {
                    await withCheckedContinuation { continuation in
                        executor.submit {
                            let result = Result { () throws(ApusError) in try model.run(tensors, output: 0, memory: .kept) }
                            continuation.resume(returning: (index, result))
                        }
                    }
                }
            }
            return await tasks.reduce(into: [Int: Result<HostTensor, ApusError>]()) { $0[$1.0] = $1.1 }
        }
        let seconds = started.duration(to: .now) / .seconds(1)
        return (try inputs.indices.compactMap { try results[$0]?.get() }, seconds)
    }
}
