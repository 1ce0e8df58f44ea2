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
    package var laneCount: Int { lanes.count }
    private let engine: Engine
    private let lanes: [Lane]

    /// `laneCount` is at least 1; the number of cores the process may use is the right one for throughput.
    package init(engine: Engine, device: DeviceID = DeviceID(.cpu, 0), laneCount: Int) {
        self.engine = engine
        self.device = device
        lanes = (0..<max(1, laneCount)).map { Lane(name: "apus-\(device.kind.rawValue)\(device.index)-\($0)") }
    }

    package func load(_ request: LoadRequest) async throws(ApusError) -> any LoadedModel {
        // Creating a session packs every weight and takes a good part of a second: a lane's thread does it.
        let engine = engine
        let result = await withCheckedContinuation { continuation in
            lanes[0].submit {
                continuation.resume(returning: Result { () throws(ApusError) in try SessionModel(request, engine) })
            }
        }
        return try result.get()
    }

    package func submit(to lane: Int, _ work: @escaping @Sendable () -> Void) {
        lanes[lane % lanes.count].submit(work)
    }
}
