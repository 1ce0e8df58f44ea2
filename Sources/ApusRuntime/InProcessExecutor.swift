package import ApusErrors
package import ApusExecution
package import ApusORT
package import ApusTensor

/// Runs models on the CPU of this process.
///
/// Each lane is one thread that computes alone. On a CPU that beats one lane of many threads: nothing is synchronised inside
/// an operator, and activations stay in the cache of their core.
package final class InProcessExecutor: Executor {
    package let device: DeviceID
    package let laneCount: Int
    private let engine: Engine
    private let lanes: Lanes
    /// Loading packs every weight and takes a good part of a second: that is no lane's business.
    private let loader = Lanes(count: 1, name: "apus-load")

    /// `laneCount` is at least 1; the number of cores the process may use is the right one for throughput.
    package init(engine: Engine, device: DeviceID = DeviceID(.cpu, 0), laneCount: Int) {
        self.engine = engine
        self.device = device
        self.laneCount = max(1, laneCount)
        lanes = Lanes(count: self.laneCount, name: "apus-\(device.kind.rawValue)\(device.index)")
    }

    package func load(_ request: LoadRequest) async throws(ApusError) -> any LoadedModel {
        let engine = engine
        return try await prepare { () throws(ApusError) in try SessionModel(request, engine) }
    }

    /// Runs `work`, which may block, on the thread that models are loaded on. Throws `cancelled` when the task is cancelled before it starts.
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
}
