package import ApusErrors
package import ApusExecution
import ApusORT
package import ApusTensor

/// Runs models on one device from this process.
///
/// Each lane is one thread, which computes alone unless the settings name helpers. On a CPU that usually beats one lane of many threads:
/// nothing is synchronised inside an operator, and activations stay in the cache of their core. On CUDA each lane has a
/// session of each model, a thread for it and so a stream: what one lane copies runs beside what another computes. On other accelerators the
/// steps of a model happen one after the other on the thread of its session, whatever lane they come from.
package final class InProcessExecutor: Executor {
    package var device: DeviceID { settings.device }
    package var laneCount: Int { settings.lanes }
    private let settings: ExecutorSettings
    private let engine: Engine
    private let provider: ExecutionProvider
    private let graphs: any GraphSource
    private let state: ExecutorState
    private let lanes: LaneThreads
    /// Loading packs every weight and takes a good part of a second: that is no lane's business.
    private let loader: LaneThreads
    /// Bytes that the device may use, 0 where the engine cannot know.
    private let totalBytes: Int

    /// Starts nothing unless the engine is there and can run on the device.
    ///
    /// Throws `engine_missing`, `engine_incompatible`, and `provider_unavailable` when the engine lacks the device's execution provider, a
    /// library of it does not load, or there is no such device.
    ///
    /// - Parameter routing: where steps run; what suits the kind of the device when nil.
    package init(_ settings: ExecutorSettings, graphs: any GraphSource, routing: SessionRouting? = nil) throws(ApusError) {
        engine = try Engine.open(libraryPath: settings.engineLibrary)
        provider = try settings.provider(of: engine)
        self.settings = settings
        self.graphs = graphs
        state = ExecutorState(device: settings.device, routing: routing ?? SessionRouting(settings.device.kind))
        totalBytes = settings.memoryLimitBytes ?? (settings.device.kind.computesOnCPU ? HostMemory.current.bytes : 0)
        lanes = LaneThreads(count: settings.lanes, name: "apus-\(settings.device.kind.rawValue)\(settings.device.index)")
        loader = LaneThreads(count: 1, name: "apus-load")
    }

    package var engineVersion: String { engine.version }

    /// To be called by processes that do nothing but run models, before they begin: memory that models give back then goes back to the system
    /// wholly. It is a setting of all of the process's memory, which is not a library's to change.
    package static func ownProcess() {
        Engine.mapLargeBlocks()
    }

    /// Throws, besides what ``Executor`` says, `provider_incomplete` where the assignment is to be strict.
    package func load(_ request: LoadRequest) async throws(ApusError) -> any LoadedModel {
        let (engine, provider, settings, graphs, state) = (engine, provider, settings, graphs, state)
        return try await prepare { () throws(ApusError) -> any LoadedModel in
            if case .checkpoint(let directory, .segmented(let form, let segmentation)) = request.source {
                let loader = try SegmentLoader(
                    request, directory: directory, form, segmentation, graphs, engine, provider, settings, state)
                return segmentation.residency == .resident ? try SegmentedModel(loader) : try OffloadedModel(loader)
            }
            let model = try SessionModel(request, engine, provider, settings, graphs, state)
            state.add(model)
            return model
        }
    }

    package func prepare<Value: Sendable>(
        _ work: @escaping @Sendable () throws(ApusError) -> Value
    ) async throws(ApusError) -> Value {
        guard !Task.isCancelled else { throw ApusError(.cancelled, "loading was called off") }
        try state.requireOpen()
        let result = await withCheckedContinuation { continuation in
            loader.submit {
                var place = ThreadPlace()
                // Whoever waits goes on on a thread of Swift's, which may have to be started. Nothing here holds what they are given.
                continuation.resume(returning: place.leave { Result { () throws(ApusError) in try work() } })
                place.comeBack()
            }
        }
        return try result.get()
    }

    package func submit(_ work: @escaping @Sendable () -> Void) {
        lanes.submit(work)
    }

    /// The arenas of the models that are loaded. The total is the memory limit of the settings; without one it is that of the machine or the
    /// container on a CPU, and 0 on an accelerator, whose driver has to be asked.
    package func memory() async throws(ApusError) -> DeviceMemory {
        try state.requireOpen()
        return try state.memory(total: totalBytes)
    }

    /// Shrinks the arenas of idle and of busy models, and hands the freed pages of the process back to the system.
    package func clearCache() async throws(ApusError) {
        let state = state
        try await prepare { () throws(ApusError) in
            state.buffers.trim()
            for model in state.models { try model.releaseUnusedMemory() }
            Engine.returnFreedPages()
        }
    }

    /// Steps that are running end as they do; those that have not begun fail with `device_unavailable`. Sessions go with the last reference
    /// to their models.
    package func shutdown() async {
        state.close()
        state.profiler.finish()
        lanes.close()
        loader.close()
    }

    /// Takes down profiles of the next `steps` steps (1 to ``StepProfiler/maxSteps``) of the models on this executor, known-answer runs
    /// included, and returns at once. When they have run, one file for each model is in `logs/gpu_profiles` under `directory`, named
    /// by device, model and time: trace events as chrome://tracing and Perfetto read them. Profiled steps give their normal results and
    /// are a little slower. What was being taken down before ends with the steps it has.
    ///
    /// Throws `invalid_value`, `file_unwritable` and `device_unavailable`.
    package func profile(steps: Int, into directory: String) async throws(ApusError) {
        let (state, loader) = (state, loader)
        try await prepare { () throws(ApusError) in
            try state.profiler.begin(steps: steps, device: state.device, directory: directory, writer: loader)
        }
    }
}
