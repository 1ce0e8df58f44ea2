import ApusErrors
import ApusExecution
import ApusORT
import ApusTensor
import Synchronization

/// What an executor and the models it holds know of each other.
final class ExecutorState: Sendable {
    let device: DeviceID
    let profiler = StepProfiler()
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

    init(device: DeviceID) {
        self.device = device
        let roster = roster
        keeper = MemoryKeeper { roster.withLock { $0.models.compactMap(\.model) } }
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

    /// The sum over the models that are held now. The maximum is an upper bound: models need not have been at theirs at one time.
    func memory(total: Int) throws(ApusError) -> DeviceMemory {
        var memory = DeviceMemory(totalBytes: total)
        for model in models {
            let statistics = try model.statistics()
            memory.allocatedBytes += statistics.inUse
            memory.reservedBytes += statistics.reserved
            memory.maxAllocatedBytes += statistics.maxInUse
        }
        memory.maxAllocatedBytes = roster.withLock { roster in
            roster.maxAllocatedBytes = max(roster.maxAllocatedBytes, memory.maxAllocatedBytes)
            return roster.maxAllocatedBytes
        }
        return memory
    }
}
