package import ApusDevices
package import ApusErrors
package import ApusFleet
import ApusSimulation
import ApusExecution
import ApusTensor
package import Logging
import NIOConcurrencyHelpers

/// Has the sensors of a fleet's devices read as long as it lives: of CUDA devices by the monitor's process, of simulated ones by their simulation.
package final class DeviceSampling: Sendable {
    private let monitor: DeviceMonitor?
    private let simulation: Task<Void, Never>?
    private let memoryLog: Task<Void, Never>?

    /// - Parameters:
    ///   - command: how the monitor's process is started; it is, when `fleet` has CUDA devices.
    ///   - memoryInterval: how often the memory of all devices is logged; nil for never.
    package init(
        _ fleet: Fleet, _ plan: FleetPlan, command: MonitorCommand, interval: Duration, memoryInterval: Duration?, metrics: DeviceMetrics,
        logger: Logger
    ) throws(ApusError) {
        let devices = plan.members.map(\.settings.device)
        if devices.contains(where: { $0.kind == .cuda }) {
            let isAnswering = NIOLockedValueBox(true)
            metrics.monitor(isAnswering: true)
            monitor = try DeviceMonitor(command) { [weak fleet] report in
                guard let fleet else { return }
                let reason = Self.take(report, fleet, metrics)
                let was = isAnswering.withLockedValue { before in
                    defer { before = reason == nil }
                    return before
                }
                guard was == (reason != nil) else { return }
                if let reason {
                    logger.warning("the sensors cannot be read: \(reason)")
                } else {
                    logger.info("the sensors can be read again")
                }
            }
        } else {
            monitor = nil
        }
        simulation = devices.contains { $0.kind == .sim } ? Self.simulate(fleet, plan, interval) : nil
        memoryLog = memoryInterval.map { Self.logMemory(fleet, $0, logger) }
    }

    deinit {
        stop()
    }

    package func stop() {
        monitor?.stop()
        simulation?.cancel()
        memoryLog?.cancel()
    }

    /// - Returns: why nothing was read; nil when something was.
    private static func take(_ report: DeviceMonitor.Report, _ fleet: Fleet, _ metrics: DeviceMetrics) -> String? {
        switch report {
        case .snapshot(let snapshot):
            fleet.sampled(snapshot.devices)
            metrics.monitor(isAnswering: true)
            return nil
        case .unreadable(let reason), .absent(let reason):
            fleet.samplesMissing()
            metrics.monitor(isAnswering: false)
            return reason
        }
    }

    private static func logMemory(_ fleet: Fleet, _ interval: Duration, _ logger: Logger) -> Task<Void, Never> {
        Task { [weak fleet] in
            while (try? await Task.sleep(for: interval)) != nil {
                guard let status = fleet?.status() else { return }
                for device in status.devices {
                    guard let memory = device.memory else { continue }
                    logger.info(
                        "\(device.device): \(memory.allocatedBytes >> 20) MiB allocated, \(memory.reservedBytes >> 20) reserved, \(memory.maxAllocatedBytes >> 20) at most, of \(memory.totalBytes >> 20) (\(Int(memory.utilizationPercent.rounded())) %)"
                    )
                }
            }
        }
    }

    /// Load is the share of time in which batches ran since the sample before.
    private static func simulate(_ fleet: Fleet, _ plan: FleetPlan, _ interval: Duration) -> Task<Void, Never>? {
        let count = (plan.members.map(\.settings.device).filter { $0.kind == .sim }.map(\.index).max() ?? -1) + 1
        guard let made = try? SimulatedDevices(count: count) else { return nil }
        return Task { [weak fleet] in
            var devices = made
            let origin = ContinuousClock.now
            var last = origin
            var busy: [DeviceID: Double] = [:]
            while !Task.isCancelled {
                guard let status = fleet?.status() else { return }
                let now = ContinuousClock.now
                let seconds = (now - last) / .seconds(1)
                last = now
                fleet?.sampled(
                    status.devices.compactMap { device in
                        let worked = device.busySeconds - (busy[device.device] ?? 0)
                        busy[device.device] = device.busySeconds
                        var info = device.info
                        info.sample = devices.sample(
                            device.device, load: seconds > 0 ? worked / seconds : 0, allocatedBytes: device.memory?.allocatedBytes ?? 0,
                            now: Int((now - origin) / .nanoseconds(1)))
                        return info.sample == nil ? nil : info
                    })
                try? await Task.sleep(for: interval)
            }
        }
    }
}
