package import ApusErrors

/// Looks once at the accelerators of this machine, through a monitor process that is given up when it takes too long.
package enum DeviceDiscovery {
    package enum Outcome: Sendable, Equatable {
        case found(DeviceSnapshot)
        /// There is no NVIDIA driver or no GPU.
        case none(reason: String)
    }

    /// Throws `monitor_failure` when there is no answer in time or no process, and `cancelled`.
    package static func discover(_ command: MonitorCommand, within deadline: Duration = .seconds(5)) async throws(ApusError) -> Outcome {
        let once = MonitorCommand(
            executable: command.executable, arguments: command.arguments, options: command.options, startDeadline: deadline,
            lineDeadline: deadline)
        for await report in try DeviceMonitor.reports(once) {
            switch report {
            case .snapshot(let snapshot): return .found(snapshot)
            case .absent(let reason): return .none(reason: reason)
            case .unreadable(let reason):
                throw ApusError(
                    .monitorFailure, "the accelerators of this machine could not be found: \(reason)",
                    advice: "Run `nvidia-smi`: when it hangs too, a GPU has failed; when it is slow, start nvidia-persistenced")
            }
        }
        throw ApusError(.cancelled, "looking for accelerators was cancelled")
    }
}
