import ApusDevices
import ApusErrors
import ApusExecution
import ApusTensor

extension FleetState {
    /// Executors that run, in the order of the plan.
    var executors: [(DeviceID, any Executor)] {
        order.compactMap { device in units[device]?.executor.map { (device, $0.executor) } }
    }

    /// Executors that take work, with what their models are to be told.
    var servingExecutors: [(any Executor, share: Double, fallback: FallbackStage)] {
        order.compactMap { device in
            guard let unit = units[device], let opened = unit.opened, let running = unit.executor else { return nil }
            return (running.executor, opened.share, opened.fallback)
        }
    }

    /// Executors that proved themselves, whether they take work or stand by.
    var readyExecutors: [any Executor] {
        order.compactMap { device in
            guard let unit = units[device], unit.recovery.isServing else { return nil }
            return unit.executor?.executor
        }
    }

    /// Whether one of `devices` serves, or may come to serve without anybody's help.
    func canStillServe(on devices: Set<DeviceID>) -> Bool {
        guard !isStopping else { return false }
        return order.contains { device in
            guard devices.contains(device), let unit = units[device], unit.duty.mayServe else { return false }
            return unit.recovery.isServing || (unit.recovery.fallback != .permanent && startFailures[device] == nil)
        }
    }

    /// Speed of the devices that serve a model over the speed of those that are meant to, 0 to 1.
    ///
    /// - Parameters:
    ///   - assigned: the device that the model has for itself to run on; nil for all.
    ///   - open: the devices that the model takes work on.
    func capacity(for assigned: DeviceID?, on open: Set<DeviceID>) -> Double {
        let assigned = assigned.flatMap { units[$0] == nil ? nil : $0 }
        if let share = plannedCapacity(on: open) { return share }
        let members = standings
        let serving = members.filter { units[$0.device]?.opened != nil && open.contains($0.device) }
        return remedies.capacity(serving, members.filter { $0.role == .intended && (assigned ?? $0.device) == $0.device })
    }

    /// When a device that does not serve is tried next, nanoseconds; nil when none is, or none by itself.
    ///
    /// - Parameter assigned: the only device that counts; nil for any.
    func nextAttempt(of assigned: DeviceID?) -> Int? {
        order.compactMap { device in
            guard device == assigned ?? device, let recovery = units[device]?.recovery, !recovery.isServing else { return nil }
            return recovery.startsAt
        }.min()
    }

    /// Why a device is lost; nil for one that is not.
    func lossOf(_ device: DeviceID) -> String? {
        guard let recovery = units[device]?.recovery, recovery.stage == .lost else { return nil }
        return recovery.lastReason?.text ?? "it is gone"
    }

    /// Why a device could not be started, if one could not.
    var startFailure: ApusError? {
        order.compactMap { startFailures[$0] }.first
    }
}
