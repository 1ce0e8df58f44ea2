package import ApusErrors
package import ApusExecution
import ApusORT
package import ApusTensor

/// Runs models on one device from this process.
///
/// Each lane is one thread that computes alone. On a CPU that beats one lane of many threads: nothing is synchronised inside
/// an operator, and activations stay in the cache of their core.
package final class InProcessExecutor: Executor {
    package var device: DeviceID { settings.device }
    package var laneCount: Int { settings.lanes }
    private let settings: ExecutorSettings
    private let engine: Engine
    private let graphs: any GraphSource
    private let lanes: Lanes
    /// Loading packs every weight and takes a good part of a second: that is no lane's business.
    private let loader: Lanes

    /// Throws what the engine throws when it is not there or does not offer the device.
    package init(_ settings: ExecutorSettings, graphs: any GraphSource) throws(ApusError) {
        self.settings = settings
        self.graphs = graphs
        engine = try Engine.open(libraryPath: settings.engineLibrary)
        lanes = Lanes(count: settings.lanes, name: "apus-\(settings.device.kind.rawValue)\(settings.device.index)")
        loader = Lanes(count: 1, name: "apus-load")
    }

    package var engineVersion: String { engine.version }

    package func load(_ request: LoadRequest) async throws(ApusError) -> any LoadedModel {
        let (engine, graphs) = (engine, graphs)
        return try await prepare { () throws(ApusError) in try SessionModel(request, engine, graphs) }
    }

    package func prepare<Value: Sendable>(
        _ work: @escaping @Sendable () throws(ApusError) -> Value
    ) async throws(ApusError) -> Value {
        guard !Task.isCancelled else { throw ApusError(.cancelled, "loading was called off") }
        let result = await withCheckedContinuation { continuation in
            loader.submit { continuation.resume(returning: Result { () throws(ApusError) in try work() }) }
        }
        return try result.get()
    }

    package func submit(_ work: @escaping @Sendable () -> Void) {
        lanes.submit(work)
    }

    package func memory() async throws(ApusError) -> DeviceMemory {
        DeviceMemory()
    }

    package func clearCache() async throws(ApusError) {}

    package func shutdown() async {}
}
