package import ApusDevices
package import ApusErrors
package import ApusExecution
import ApusPlacement
package import ApusTensor

/// Which devices a fleet has and how it treats them.
package struct FleetPlan: Sendable {
    package struct Member: Sendable {
        package var settings: ExecutorSettings
        package var role: FleetRecovery.Role
        package var info: GPUInfo
        package var faults: DeviceFaults?

        package init(_ settings: ExecutorSettings, role: FleetRecovery.Role = .intended, info: GPUInfo, faults: DeviceFaults? = nil) {
            self.settings = settings
            if settings.device.kind == .cuda, !info.uuid.isEmpty { self.settings.onlyVisibleUUID = info.uuid }
            self.role = role
            self.info = info
            self.faults = faults
        }
    }

    package let members: [Member]
    /// Which devices share a model; nil where each device serves by itself.
    package let parallel: ParallelPlan?
    package let policy: RecoveryPolicy
    /// How long nothing serves before a stand-in is started, or requests are refused where none may be.
    package let patience: Duration

    /// Throws `invalid_value` unless there is a device that is meant to serve, each device comes once, and the plan is one of these devices.
    package init(
        _ members: [Member], policy: RecoveryPolicy = .standard, patience: Duration = .seconds(3), parallel: ParallelPlan? = nil
    ) throws(ApusError) {
        guard members.contains(where: { $0.role == .intended }) else {
            throw ApusError(.invalidValue, "no device is meant to serve")
        }
        let devices = members.map(\.settings.device)
        if let twice = devices.first(where: { device in devices.filter { $0 == device }.count > 1 }) {
            throw ApusError(.invalidValue, "the device \(twice) is named twice")
        }
        if let stranger = parallel?.wished.devices.first(where: { !devices.contains($0) }) {
            throw ApusError(.invalidValue, "the plan has the device \(stranger), which the fleet has not")
        }
        self.members = members
        self.parallel = parallel
        self.policy = policy
        self.patience = patience
    }
}

/// The failures that one device is to have on purpose.
package struct DeviceFaults: Sendable {
    package let injector: any FaultInjector
    /// Called when the device is first given work.
    package let beganServing: @Sendable () -> Void
    /// What the device's sample says when its failures show in it.
    package let overlay: @Sendable (DeviceSample) -> DeviceSample

    package init(
        injector: any FaultInjector, beganServing: @escaping @Sendable () -> Void,
        overlay: @escaping @Sendable (DeviceSample) -> DeviceSample
    ) {
        self.injector = injector
        self.beganServing = beganServing
        self.overlay = overlay
    }
}

/// Makes the executors that a fleet runs on: in this process or in workers.
package protocol ExecutorSource: Sendable {
    /// Starts an executor. `onDeath` is called once if it ends otherwise than by its shutdown, with what is to be told about it.
    ///
    /// - Parameter faults: the failures that its device, or each device of its group, is to have on purpose.
    func executor(
        _ settings: ExecutorSettings, faults: [DeviceID: any FaultInjector],
        onDeath: @escaping @Sendable (WorkerDeath.Cause, String) -> Void
    ) async throws(ApusError) -> any Executor

    /// The process that `executor` runs in, and the version of its engine; nil for an executor of another source.
    func identity(of executor: any Executor) -> ExecutorIdentity?
}

/// Who runs a device's steps.
package struct ExecutorIdentity: Sendable, Equatable {
    package var pid: Int32
    package var engineVersion: String

    package init(pid: Int32, engineVersion: String) {
        self.pid = pid
        self.engineVersion = engineVersion
    }
}
