import ApusErrors
import ApusExecution
import ApusTensor
import Foundation
import Synchronization

/// An executor whose models do what their names say.
final class ScriptedExecutor: Executor {
    let device: DeviceID
    let laneCount: Int

    init(_ settings: ExecutorSettings) {
        device = settings.device
        laneCount = settings.lanes
    }

    func load(_ request: LoadRequest) async throws(ApusError) -> any LoadedModel {
        let parts = request.name.split(separator: ":")
        switch parts.first {
        case "load-fails":
            throw ApusError(.invalidCheckpoint, "tensor 7 is damaged", place: "model.safetensors", advice: "Fetch it again")
        case "load-poisons":
            throw ApusError(.engineFailure, "CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; expr=cudaMalloc")
        case "load-hangs":
            await Self.hang()
        default:
            break
        }
        return ScriptedModel(String(parts.first ?? ""), parts.dropFirst().first.flatMap { Int($0) } ?? 0)
    }

    private static func hang() async -> Never {
        while true {
            // A load that is called off does not end sooner: nobody calls it off here.
            try? await Task.sleep(for: .seconds(3_600))
        }
    }

    func submit(_ work: @escaping @Sendable () -> Void) { work() }

    func prepare<Value: Sendable>(
        _ work: @escaping @Sendable () throws(ApusError) -> Value
    ) async throws(ApusError) -> Value { try work() }

    func memory() async throws(ApusError) -> DeviceMemory {
        DeviceMemory(
            allocatedBytes: 11, reservedBytes: 22, maxAllocatedBytes: 33, totalBytes: 44 + ScriptedModel.clearings,
            buffers: BufferUse(hits: 55, misses: 66, heldBytes: 77, trimmedBytes: 88),
            weights: WeightBytes(layers: 3, embedding: 5, head: 7, mapped: 2))
    }

    func clearCache() async throws(ApusError) { ScriptedModel.cleared() }

    func shutdown() async {}
}
