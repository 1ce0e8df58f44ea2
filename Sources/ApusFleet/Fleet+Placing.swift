import ApusDevices
import ApusErrors
import ApusExecution
import ApusTensor
import Logging
import NIOConcurrencyHelpers

/// Somebody who waits for devices to serve.
struct ServingWaiter: Sendable {
    let continuation: CheckedContinuation<Void, Never>
}

extension Fleet {
    /// Loads and opens a new model on the devices that serve; waits for one when none does.
    func place(_ model: any FleetModel) async throws(ApusError) {
        var failure: ApusError?
        var unfit: Set<DeviceID> = []
        while true {
            let (serving, hope) = state.withLockedValue { state in
                let devices = state.devices(for: model.assignedDevice)
                let serving = state.servingExecutors.filter { devices.contains($0.0.device) && !unfit.contains($0.0.device) }
                return (serving, state.canStillServe(on: devices.subtracting(unfit)))
            }
            for (executor, share, fallback) in serving {
                do throws(ApusError) {
                    try await model.load(onto: executor)
                    _ = try await model.prove(on: executor)
                    model.open(on: executor, share: share, fallback: fallback)
                    tellCapacities()
                    await placeRest(model, after: executor)
                    return tellCapacities()
                } catch {
                    model.unload(from: executor)
                    if error.rulesDeviceOut {
                        unfit.insert(executor.device)
                        logger.error("\(executor.device) cannot have \(model.name): \(error)")
                    } else if error.deviceFailure == nil {
                        throw error
                    }
                    failure = error
                }
            }
            guard hope, !hasNoFitDevice(unfit, for: model) else { throw failure ?? state.withLockedValue { $0.startFailure } ?? noDevice(for: model.assignedDevice) }
            await nextChange(for: model, besides: unfit)
            guard !Task.isCancelled else { throw ApusError(.cancelled, "loading was called off") }
        }
    }

    /// Whether a model found no room on any device that is meant for it. A CPU that stands by is not started for it.
    private func hasNoFitDevice(_ devices: Set<DeviceID>, for model: any FleetModel) -> Bool {
        guard !devices.isEmpty else { return false }
        return state.withLockedValue { state in
            state.devices(for: model.assignedDevice).allSatisfy { device in
                guard let unit = state.units[device] else { return true }
                return devices.contains(device) || unit.member.role == .standby || !unit.duty.mayServe
            }
        }
    }

    /// The other devices follow side by side; one that cannot have the model does without it, which is said.
    private func placeRest(_ model: any FleetModel, after first: any Executor) async {
        await withDiscardingTaskGroup { group in
            for executor in state.withLockedValue({ $0.readyExecutors }) where executor !== first && mayHave(model, executor.device) {
                group.addTask {
                    do throws(ApusError) {
                        try await model.load(onto: executor)
                        _ = try await model.prove(on: executor)
                        // A spare has it from now on, and is opened when it is needed.
                        if let opened = self.state.withLockedValue({ $0.units[executor.device]?.opened }) {
                            model.open(on: executor, share: opened.share, fallback: opened.fallback)
                        }
                    } catch {
                        model.unload(from: executor)
                        self.logger.error("\(executor.device) serves without \(model.name): \(error)")
                    }
                }
            }
        }
    }

    /// Whether `device` is one that `model` may run on.
    func mayHave(_ model: any FleetModel, _ device: DeviceID) -> Bool {
        state.withLockedValue { $0.devices(for: model.assignedDevice).contains(device) }
    }

    private func nextChange(for model: any FleetModel, besides unfit: Set<DeviceID>) async {
        await withCheckedContinuation { continuation in
            waiters.withLockedValue { $0.append(ServingWaiter(continuation: continuation)) }
            // What happened between the look and the wait must not be missed.
            let isOver = state.withLockedValue { state in
                let devices = state.devices(for: model.assignedDevice).subtracting(unfit)
                return state.servingExecutors.contains { devices.contains($0.0.device) } || !state.canStillServe(on: devices)
            }
            if isOver { wakeWaiters() }
        }
    }

    func wakeWaiters() {
        for waiter in waiters.withLockedValue({ waiters in
            defer { waiters.removeAll() }
            return waiters
        }) { waiter.continuation.resume() }
    }
}

extension ApusError {
    /// Whether it says that this device cannot have this model, while another one may.
    fileprivate var rulesDeviceOut: Bool {
        [.insufficientMemory, .outOfMemory, .wrongAnswer, .engineFailure].contains(code)
    }
}
