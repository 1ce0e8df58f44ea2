import ApusDevices
import ApusErrors
import ApusExecution
import ApusFleet
import ApusGraph
import ApusParallel
import ApusRuntime
import ApusSimulation
import ApusTensor
import ApusWorkers
import Foundation

extension Execution {
    func source(engineLibrary: String) -> any ExecutorSource {
        switch self {
        case .inProcess: InProcessSource(engineLibrary: engineLibrary)
        case .workers(let executable): WorkerSource(executable: executable)
        }
    }
}

/// Executors of this process.
struct InProcessSource: ExecutorSource {
    let engineLibrary: String

    func executor(
        _ settings: ExecutorSettings, faults: [DeviceID: any FaultInjector],
        onDeath: @escaping @Sendable (ApusDevices.WorkerDeath.Cause, String) -> Void
    ) async throws(ApusError) -> any Executor {
        var settings = settings
        settings.onlyVisibleUUID = nil
        settings.group = try settings.group?.withoutUUIDs()
        let own = settings
        return try await BlockingWork.run { () throws(ApusError) in
            guard own.group != nil else { return try Self.executor(own, faults) }
            return try GroupExecutor.assemble(own) { member throws(ApusError) in try Self.executor(member, faults) }
        }
    }

    private static func executor(
        _ settings: ExecutorSettings, _ faults: [DeviceID: any FaultInjector]
    ) throws(ApusError) -> any Executor {
        let executor = try InProcessExecutor(settings, graphs: CheckpointGraphs())
        guard let schedule = faults[settings.device] as? ChaosSchedule else { return executor }
        return try FaultingExecutor(executor, schedule, clock: ApusSimulation.MonotonicClock())
    }

    func identity(of executor: any Executor) -> ExecutorIdentity? {
        let member = (executor as? GroupExecutor)?.members.first?.first ?? executor
        let executor = (member as? FaultingExecutor)?.executor ?? member
        return (executor as? InProcessExecutor).map { ExecutorIdentity(pid: getpid(), engineVersion: $0.engineVersion) }
    }
}

/// Executors in processes of their own.
struct WorkerSource: ExecutorSource {
    let executable: String

    /// A driver may have to be woken, and an engine of some gigabytes be read from a cold disk.
    private static let acceleratorDeadline = Duration.seconds(60)

    func executor(
        _ settings: ExecutorSettings, faults: [DeviceID: any FaultInjector],
        onDeath: @escaping @Sendable (ApusDevices.WorkerDeath.Cause, String) -> Void
    ) async throws(ApusError) -> any Executor {
        let visible = settings.group?.visibleUUIDs ?? settings.onlyVisibleUUID.map { [$0] } ?? []
        let environment = visible.isEmpty ? [:] : ["CUDA_VISIBLE_DEVICES": visible.joined(separator: ",")]
        let devices = settings.group?.devices.flatMap(\.self) ?? [settings.device]
        var options = WorkerOptions(executable: executable, environment: environment, faults: devices.map { faults[$0] }) { death in
            if let cause = death.cause { onDeath(cause, death.description) }
        }
        if devices.contains(where: { $0.kind.isAccelerator }) { options.spawnDeadline = Self.acceleratorDeadline }
        return try await WorkerExecutor.spawn(settings, options: options)
    }

    func identity(of executor: any Executor) -> ExecutorIdentity? {
        (executor as? WorkerExecutor).map { ExecutorIdentity(pid: $0.pid, engineVersion: $0.engineVersion) }
    }
}

extension GroupShape {
    /// For executors of this process, which sees all devices.
    fileprivate func withoutUUIDs() throws(ApusError) -> GroupShape {
        try GroupShape(
            stages.map { stage in
                stage.map { member in
                    var member = member
                    member.uuid = nil
                    return member
                }
            })
    }
}

extension ApusWorkers.WorkerDeath {
    /// Nil when its executor was shut down, which is nobody's death.
    fileprivate var cause: ApusDevices.WorkerDeath.Cause? {
        switch self {
        case .killed: .killed
        case .crashed: .crashed
        case .sticky: .sticky
        case .hung: .hung
        case .stopped: nil
        }
    }
}
