import ApusDevices
import ApusErrors
import ApusExecution
import ApusTensor
import Logging
import NIOConcurrencyHelpers

// Models that run on one device only, while that device is away.
extension Fleet {
    /// Another serving device takes a model over whose own device does not serve, unless nothing may stand in for it; the model goes back
    /// when its device serves again. Called when `device` may have come or gone.
    func settleAssignments(to device: DeviceID) {
        for model in currentModels where model.assignedDevice == device {
            Task { await settling.run { await self.settle(model) } }
        }
    }

    private func settle(_ model: any FleetModel) async {
        guard currentModels.contains(where: { $0 === model }) else { return }
        let now = now
        let (standIns, others, isRefused) = state.withLockedValue { state in
            let standIns = state.standIns(for: model.assignedDevice)
            let others = state.executors.filter { device, _ in !state.devices(for: model.assignedDevice).contains(device) }
            return (standIns, others.map(\.1), state.isAbandoned(model.assignedDevice, now: now))
        }
        for executor in others {
            model.close(executor.device)
            model.unload(from: executor)
        }
        defer { tellCapacities() }
        if isRefused { model.refuse(with: noDevice(for: model.assignedDevice)) }
        for (executor, share) in standIns {
            let fallback = stage(of: model, on: executor.device, planned: .temporary)
            guard !model.isOpen(on: executor.device) else {
                model.adjust(executor.device, share: share, fallback: fallback)
                continue
            }
            do throws(ApusError) {
                try await model.load(onto: executor)
                _ = try await model.prove(on: executor)
                model.open(on: executor, share: share, fallback: fallback)
                logger.warning("\(executor.device) stands in for \(model.assignedDevice?.description ?? "all") with \(model.name)")
            } catch {
                model.unload(from: executor)
                logger.error("\(executor.device) cannot stand in with \(model.name): \(error)")
            }
        }
        // Nobody has it and its own device is not expected back: to wait would be to wait for ever.
        guard !standIns.isEmpty, !standIns.contains(where: { model.isOpen(on: $0.0.device) }) else { return }
        if state.withLockedValue({ $0.isGivenUp(model.assignedDevice) }) { model.refuse(with: noDevice(for: model.assignedDevice)) }
    }

    /// What clients of `model` are told on `device`: on another than its own it is served by a stand-in, whatever the device is for others.
    func stage(of model: any FleetModel, on device: DeviceID, planned: FallbackStage) -> FallbackStage {
        guard let assigned = model.assignedDevice, assigned != device else { return planned }
        return state.withLockedValue { $0.isGivenUp(assigned) } ? .permanent : .temporary
    }
}

extension FleetState {
    /// Those that a model may run on: its own device and devices that are there to stand in; all, while its own is away and others may
    /// stand in for it.
    func devices(for assigned: DeviceID?) -> Set<DeviceID> {
        guard let assigned, let unit = units[assigned] else { return Set(order) }
        if isAway(unit), fallback != .fail { return Set(order) }
        return Set(order.filter { $0 == assigned || units[$0]?.member.role != .intended })
    }

    /// Devices that serve, and are to have a model of a device that is away.
    fileprivate func standIns(for assigned: DeviceID?) -> [(any Executor, share: Double)] {
        guard let assigned, let unit = units[assigned], isAway(unit), fallback != .fail else { return [] }
        return servingExecutors.compactMap { executor, share, _ in executor.device == assigned ? nil : (executor, share) }
    }

    /// Whether a device is not expected back.
    func isGivenUp(_ device: DeviceID?) -> Bool {
        device.flatMap { units[$0]?.recovery.fallback } == .permanent
    }

    /// Whether a device does not serve, is not tried again soon enough to be waited for, and nothing may stand in for it.
    func isAbandoned(_ assigned: DeviceID?, now: Int) -> Bool {
        guard fallback == .fail, let assigned, let unit = units[assigned] else { return false }
        switch unit.recovery.fallback {
        case .none: return false
        case .permanent: return true
        case .temporary: return unit.recovery.startsAt.map { $0 - now > remedies.patienceNanoseconds } ?? false
        }
    }

    /// A device that starts for the first time is waited for.
    private func isAway(_ unit: Unit) -> Bool {
        !unit.recovery.isServing && (unit.recovery.fallback != .none || startFailures[unit.member.settings.device] != nil)
    }
}

/// Runs one piece of work after the other.
final class Settling: Sendable {
    private let last = NIOLockedValueBox<Task<Void, Never>?>(nil)

    func run(_ work: @escaping @Sendable () async -> Void) async {
        let task = last.withLockedValue { last in
            let before = last
            let task = Task {
                await before?.value
                await work()
            }
            last = task
            return task
        }
        await task.value
    }
}
