import ApusDevices
package import ApusErrors
import ApusExecution
package import ApusTensor
import Logging
import NIOConcurrencyHelpers

// What an operator asks of devices.
extension Fleet {
    /// Asks for a device that stays away to be tried now. Throws `unknown_device`, and `device_gone` for one that is lost.
    package func probe(_ device: DeviceID) throws(ApusError) {
        try requireKnown(device)
        if let reason = state.withLockedValue({ $0.lossOf(device) }) {
            throw ApusError(
                .deviceGone, "\(device) is lost and cannot be probed: \(reason)",
                advice: "Restart the machine, and this server with it, to use the device again")
        }
        handle(device, .operatorProbe)
    }

    /// Gives memory back that a device holds for later. Throws `unknown_device` and the device's failures.
    package func clearCache(_ device: DeviceID) async throws(ApusError) {
        let (worker, executor) = try running(device)
        try await executor.clearCache()
        await lookAtMemory(of: device, worker, executor)
    }

    /// As ``clearCache(_:)`` for all devices that have a worker. Those that do not answer are passed over; the others are returned.
    package func clearCaches() async -> [DeviceID] {
        var cleared: [DeviceID] = []
        for device in state.withLockedValue({ $0.executors.map(\.0) }) {
            do throws(ApusError) {
                try await clearCache(device)
                cleared.append(device)
            } catch {
                logger.warning("\(device) did not clear its cache: \(error)")
            }
        }
        return cleared
    }

    /// Takes down profiles of the next `steps` steps of a device, into `logs/gpu_profiles` under `directory`. Returns when that has begun.
    /// Throws `unknown_device`, `invalid_value`, `file_unwritable` and the device's failures.
    package func profile(_ device: DeviceID, steps: Int, into directory: String) async throws(ApusError) {
        let (_, executor) = try running(device)
        try await executor.profile(steps: steps, into: directory)
        logger.notice("\(device): the next \(steps) steps are profiled")
    }

    /// Asks the workers for their memory whose turn it is. Waits for none: one that hangs must not keep the others from telling.
    func lookAtMemory() {
        let now = now
        for (device, worker, executor) in state.withLockedValue({ $0.takeMemoryLooks(now: now) }) {
            Task { await lookAtMemory(of: device, worker, executor) }
        }
    }

    private func lookAtMemory(of device: DeviceID, _ worker: Int, _ executor: any Executor) async {
        let memory = try? await executor.memory()
        let now = now
        let group = try? await executor.groupState()
        let isCurrent = state.withLockedValue { state in
            guard state.memoryAnswered(memory, device, worker: worker, now: now) else { return false }
            if let group { state.groupAnswered(group, device) }
            return true
        }
        guard isCurrent, let memory else { return }
        guard let group else { return metrics.counted(memory, of: device) }
        for member in group.stages.joined() { metrics.counted(member.memory, of: member.device) }
    }

    private func running(_ device: DeviceID) throws(ApusError) -> (worker: Int, executor: any Executor) {
        try requireKnown(device)
        guard let running = state.withLockedValue({ $0.units[device]?.executor }) else {
            throw ApusError(.deviceUnavailable, "\(device) has no worker now", place: "\(device)")
        }
        return running
    }

    private func requireKnown(_ device: DeviceID) throws(ApusError) {
        let known = state.withLockedValue { $0.order }
        guard known.contains(device) else {
            throw ApusError(
                .unknownDevice, "there is no device \(device)", advice: "There are \(known.map(\.description).joined(separator: ", "))")
        }
    }
}
