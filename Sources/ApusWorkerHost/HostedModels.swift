import ApusExecution
import Foundation

/// The models of a worker, by the numbers that the front gave them.
final class HostedModels: @unchecked Sendable {
    // `models` and `faults` are guarded by `lock`.
    private let lock = NSLock()
    private var models: [UInt32: any LoadedModel] = [:]
    /// Of the devices of a group; empty for one device.
    private var faults: [ArmedFaults] = []

    /// Says how the devices of a group are made to fail.
    func equip(_ faults: [ArmedFaults]) {
        lock.withLock { self.faults = faults }
    }

    /// Has a device of the group fail its next step so. False where there is no group.
    func arm(_ fault: StepFault, member: Int) -> Bool {
        let faults = lock.withLock { self.faults }
        guard faults.indices.contains(member) else { return false }
        faults[member].arm(fault)
        return true
    }

    func add(_ model: any LoadedModel, as number: UInt32) {
        lock.withLock { models[number] = model }
    }

    func remove(_ number: UInt32) -> (any LoadedModel)? {
        lock.withLock { models.removeValue(forKey: number) }
    }

    subscript(number: UInt32) -> (any LoadedModel)? {
        lock.withLock { models[number] }
    }
}
