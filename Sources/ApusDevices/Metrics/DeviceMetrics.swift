package import ApusExecution
package import ApusTensor
package import Metrics
import NIOConcurrencyHelpers

/// What is counted of devices. Names are those of the metrics catalogue; the backend decides what becomes of them.
///
/// Gauges follow the last thing said: what a device no longer tells is taken back, so that no old value passes for a present one.
/// A value must be made after the backend was installed, since swift-metrics binds a metric to its backend when it is made.
package final class DeviceMetrics: Sendable {
    /// The cause that is counted when a worker could not be started, beside the causes of death.
    private static let spawn = "spawn"

    /// Gauges that change together.
    private enum Group {
        case identity, sample, health, state, memory
    }

    private struct Device {
        var gauges: [Group: [DeviceReading.Key: Meter]] = [:]
        /// Nil before the first sample, and while samples are missing.
        var isAnswering: Bool?
        /// Nil before the first state.
        var isHealthy: Bool?
        /// The driver's count at the last sample.
        var pcieReplays = 0
        /// What was counted when its memory was last looked at.
        var buffers = BufferUse()
    }

    private let factory: any MetricsFactory
    private let devices = NIOLockedValueBox<[DeviceID: Device]>([:])

    package init(_ factory: any MetricsFactory = MetricsSystem.factory) {
        self.factory = factory
    }

    /// Shows a device before anything has happened to it: its counters at 0, so that a first event reads as an increase.
    package func found(_ info: GPUInfo) {
        introduced(info.device)
        guard info.device.kind.isAccelerator else { return }
        let labels = [
            ("gpu_id", info.device.gpuID), ("device", info.device.description), ("name", info.name), ("uuid", info.uuid),
            ("driver_version", info.driverVersion ?? ""),
        ]
        devices.withLockedValue { show([DeviceReading("gpu_info", labels, 1)], .identity, of: &$0[info.device, default: Device()]) }
        if let sample = info.sample { sampled(sample) }
    }

    /// As ``found(_:)``, for a device of which nothing is known but its name.
    package func introduced(_ device: DeviceID) {
        for cause in WorkerDeath.Cause.allCases.map(\.rawValue) + [Self.spawn] {
            counter("apus_device_restarts_total", device, ("cause", cause)).increment(by: 0)
        }
        for answer in [KnownAnswer.right, .wrong, .failed] {
            counter("apus_device_known_answer_total", device, ("result", answer.name)).increment(by: 0)
        }
        for outcome in ["ok"] + DeviceFailure.allCases.map(\.rawValue) {
            counter("apus_device_batches_total", device, ("outcome", outcome)).increment(by: 0)
        }
    }

    /// Takes back every gauge of a device that is not meant to serve any more: one that is no longer configured, or a stand-in that nobody
    /// needs. It would pass for one that is down.
    package func removed(_ device: DeviceID) {
        devices.withLockedValue { devices in
            for gauge in (devices.removeValue(forKey: device)?.gauges.values ?? [:].values).flatMap(\.values) { gauge.destroy() }
        }
    }

    /// One round of the sensors.
    package func sampled(_ sample: DeviceSample) {
        guard sample.device.kind.isAccelerator else { return }
        devices.withLockedValue { devices in
            var device = devices[sample.device, default: Device()]
            device.isAnswering = sample.answer == .given
            show(sample.readings, .sample, of: &device)
            showHealth(of: sample.device, &device)
            if let replays = sample.pcieReplays {
                // The driver counts from its own start; a lower count than before means that it started again.
                let grown = replays < device.pcieReplays ? replays : replays - device.pcieReplays
                device.pcieReplays = replays
                Counter(label: "gpu_pcie_replays_total", dimensions: [("gpu_id", sample.device.gpuID)], factory: factory)
                    .increment(by: grown)
            }
            devices[sample.device] = device
        }
        for xid in sample.xids {
            Counter(
                label: "gpu_xid_errors_total", dimensions: [("gpu_id", sample.device.gpuID), ("xid", String(xid))], factory: factory
            ).increment()
        }
    }

    /// The sensors of this device were not read, since whatever reads them does not answer.
    package func sampleMissing(of id: DeviceID) {
        devices.withLockedValue { devices in
            guard var device = devices[id] else { return }
            device.isAnswering = nil
            show([], .sample, of: &device)
            showHealth(of: id, &device)
            devices[id] = device
        }
    }

    /// - Parameters:
    ///   - stage: a name of the ladder of recovery.
    ///   - fallback: who does the device's work.
    ///   - weight: share of its usual work that the device is given, 0 to 1.
    ///   - isServing: whether batches are given to it now.
    package func changed(_ id: DeviceID, stage: DeviceStage, fallback: FallbackStage, weight: Double, isServing: Bool) {
        let label = ("device", id.description)
        var readings = DeviceStage.allCases.map {
            DeviceReading("apus_device_stage", [label, ("stage", $0.rawValue)], $0 == stage ? 1 : 0)
        }
        readings.append(DeviceReading("apus_device_fallback_stage", [label], Double(fallback.rank)))
        readings.append(DeviceReading("apus_device_weight", [label], weight))
        readings.append(DeviceReading("apus_device_up", [label], isServing ? 1 : 0))
        devices.withLockedValue { devices in
            var device = devices[id, default: Device()]
            device.isHealthy = stage == .healthy
            show(readings, .state, of: &device)
            showHealth(of: id, &device)
            devices[id] = device
        }
    }

    /// A worker process ended and is to be replaced.
    package func restarted(_ device: DeviceID, after cause: WorkerDeath.Cause) {
        counter("apus_device_restarts_total", device, ("cause", cause.rawValue)).increment()
    }

    /// A worker process did not start, or could not load, and is to be replaced.
    package func spawnFailed(_ device: DeviceID) {
        counter("apus_device_restarts_total", device, ("cause", Self.spawn)).increment()
    }

    /// - Parameter seconds: from the withdrawal of the device to its admission.
    package func recovered(_ device: DeviceID, seconds: Double) {
        Recorder(
            label: "apus_device_recovery_seconds", dimensions: [("device", device.description)], aggregate: true, factory: factory
        ).record(seconds)
    }

    package func knownAnswer(_ answer: KnownAnswer, on device: DeviceID) {
        counter("apus_device_known_answer_total", device, ("result", answer.name)).increment()
    }

    package func counted(_ memory: DeviceMemory, of id: DeviceID) {
        let label = ("device", id.description)
        let readings = [
            DeviceReading("apus_device_memory_allocated_bytes", [label], Double(memory.allocatedBytes)),
            DeviceReading("apus_device_memory_reserved_bytes", [label], Double(memory.reservedBytes)),
            DeviceReading("apus_device_memory_max_allocated_bytes", [label], Double(memory.maxAllocatedBytes)),
            DeviceReading("apus_device_memory_total_bytes", [label], Double(memory.totalBytes)),
            DeviceReading("apus_device_memory_utilization_percent", [label], memory.utilizationPercent),
            DeviceReading("apus_device_buffer_held_bytes", [label], Double(memory.buffers.heldBytes)),
        ]
        let use = memory.buffers
        let before = devices.withLockedValue { devices in
            defer { devices[id]?.buffers = use }
            show(readings, .memory, of: &devices[id, default: Device()])
            return devices[id]?.buffers ?? BufferUse()
        }
        for (name, now, then) in [
            ("hits_total", use.hits, before.hits), ("misses_total", use.misses, before.misses),
            ("trimmed_bytes_total", use.trimmedBytes, before.trimmedBytes),
        ] {
            // A lower count than before is that of a new worker.
            Counter(label: "apus_device_buffer_\(name)", dimensions: [label], factory: factory).increment(by: now < then ? now : now - then)
        }
    }

    /// - Parameter ratio: share of the capacity of all configured devices that serves now, 0 to 1.
    package func capacity(_ ratio: Double) {
        gauge("apus_capacity_ratio").set(ratio)
    }

    package func chaos(isActive: Bool) {
        gauge("apus_chaos_active").set(isActive ? 1.0 : 0.0)
    }

    /// Tells of the process that reads the sensors; never called where there are none to read.
    package func monitor(isAnswering: Bool) {
        gauge("apus_monitor_up").set(isAnswering ? 1.0 : 0.0)
    }

    private func gauge(_ name: String) -> Meter {
        Meter(label: name, dimensions: [], factory: factory)
    }

    private func counter(_ name: String, _ device: DeviceID, _ label: (String, String)) -> Counter {
        Counter(label: name, dimensions: [("device", device.description), label], factory: factory)
    }

    /// Healthy is a device that answers, as far as is known, and stands on no rung of the ladder of recovery.
    private func showHealth(of id: DeviceID, _ device: inout Device) {
        guard id.kind.isAccelerator else { return }
        let known = [device.isAnswering, device.isHealthy].compactMap(\.self)
        let readings = known.isEmpty ? [] : [DeviceReading("gpu_health_status", [("gpu_id", id.gpuID)], known.contains(false) ? 0 : 1)]
        show(readings, .health, of: &device)
    }

    /// Sets the group's gauges to `readings` and takes back those that are not among them.
    private func show(_ readings: [DeviceReading], _ group: Group, of device: inout Device) {
        var before = device.gauges[group] ?? [:]
        var after: [DeviceReading.Key: Meter] = [:]
        for reading in readings {
            let key = reading.key
            let meter =
                before.removeValue(forKey: key)
                ?? Meter(label: key.name, dimensions: key.labels.map { ($0.name, $0.value) }, factory: factory)
            meter.set(reading.value)
            after[key] = meter
        }
        for meter in before.values { meter.destroy() }
        device.gauges[group] = after
    }
}

extension DeviceMetrics {
    package func batchEnded(_ report: BatchReport) {
        let outcome =
            switch report.result {
            case .succeeded: "ok"
            case .failed(let failure, _): failure.rawValue
            }
        counter("apus_device_batches_total", report.device, ("outcome", outcome)).increment()
        FloatingPointCounter(
            label: "apus_device_busy_seconds_total", dimensions: [("device", report.device.description)], factory: factory
        ).increment(by: report.seconds)
    }
}

extension FallbackStage {
    /// As the metric tells it.
    fileprivate var rank: Int {
        switch self {
        case .none: 0
        case .temporary: 1
        case .permanent: 2
        }
    }
}

extension KnownAnswer {
    /// The label `result`.
    fileprivate var name: String {
        switch self {
        case .right: "right"
        case .wrong: "wrong"
        case .failed: "failed"
        }
    }
}
