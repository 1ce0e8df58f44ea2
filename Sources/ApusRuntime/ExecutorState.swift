import ApusErrors
import ApusExecution
import ApusORT
import ApusTensor
import Synchronization

/// What an executor and the models it holds know of each other.
final class ExecutorState: Sendable {
    let device: DeviceID
    let routing: SessionRouting
    let profiler = StepProfiler()
    let buffers = SharedBuffers()
    private let closed = Atomic<Bool>(false)
    private let roster = Guarded(Roster())
    private let keeper: MemoryKeeper

    private struct Roster {
        var models: [WeakModel] = []
        var maxAllocatedBytes = 0
    }

    private struct WeakModel {
        weak var model: SessionModel?
    }

    init(device: DeviceID, routing: SessionRouting) {
        self.device = device
        self.routing = routing
        let roster = roster
        keeper = MemoryKeeper(buffers) { roster.withLock { $0.models.compactMap(\.model) } }
    }

    /// - Parameter bytes: of the step's tensors.
    func stepEnded(bytes: Int) {
        keeper.stepEnded(bytes: bytes)
    }

    func close() {
        closed.store(true, ordering: .releasing)
    }

    /// Throws `device_unavailable` once the executor was shut down.
    func requireOpen() throws(ApusError) {
        if closed.load(ordering: .acquiring) {
            throw ApusError(.deviceUnavailable, "the executor of \(device) was shut down")
        }
    }

    func add(_ model: SessionModel) {
        roster.withLock { roster in
            roster.models.removeAll { $0.model == nil }
            roster.models.append(WeakModel(model: model))
        }
    }

    /// The models that somebody still holds.
    var models: [SessionModel] {
        roster.withLock { $0.models.compactMap(\.model) }
    }

    /// The sum over the models that are held now: what the engine's allocators count, and on a CPU what lies in memory of Apus' own and what is read
    /// from mapped files. The maximum is an upper bound: models need not have been at theirs at one time.
    func memory(total: Int) throws(ApusError) -> DeviceMemory {
        var memory = DeviceMemory(totalBytes: total)
        for model in models {
            let statistics = try model.statistics()
            memory.allocatedBytes += statistics.inUse
            memory.reservedBytes += statistics.reserved
            memory.maxAllocatedBytes += statistics.maxInUse
            memory.weights = memory.weights + model.weights
            guard device.kind.computesOnCPU else { continue }
            let uncounted = model.residentBytes + model.weights.mapped
            memory.allocatedBytes += uncounted
            memory.reservedBytes += uncounted
            memory.maxAllocatedBytes += uncounted
        }
        memory.buffers = buffers.use
        if device.kind.computesOnCPU { memory.reservedBytes += memory.buffers.heldBytes }
        memory.maxAllocatedBytes = roster.withLock { roster in
            roster.maxAllocatedBytes = max(roster.maxAllocatedBytes, memory.maxAllocatedBytes)
            return roster.maxAllocatedBytes
        }
        return memory
    }
}
