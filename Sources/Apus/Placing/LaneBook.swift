import ApusExecution
import ApusScheduling
import ApusTensor
import NIOConcurrencyHelpers

/// The lanes of each device, so that all models on it share the same.
final class LaneBook: Sendable {
    private let entries = NIOLockedValueBox<[DeviceID: DeviceLanes]>([:])

    /// The lanes of `executor`, which takes the place of the one its device had before.
    func lanes(of executor: any Executor) -> DeviceLanes {
        entries.withLockedValue { entries in
            if let lanes = entries[executor.device], lanes.belong(to: executor) { return lanes }
            let lanes = DeviceLanes(executor)
            entries[executor.device] = lanes
            return lanes
        }
    }

    /// Returns when no lane holds anything of `model`.
    func leave(_ model: String) async {
        for lanes in entries.withLockedValue({ Array($0.values) }) { await lanes.leave(model) }
    }
}
