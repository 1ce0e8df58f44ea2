import ApusDevices
import ApusExecution
import ApusObservability
import ApusTensor
import Testing

struct DeviceMetricsTests {
    private let registry = PrometheusRegistry()
    private let metrics: DeviceMetrics

    init() {
        metrics = DeviceMetrics(PrometheusMetricsFactory(registry))
    }

    private var samples: Set<String> { registry.samples }

    private static func fullSample(_ device: DeviceID) -> DeviceSample {
        var sample = DeviceSample(device: device)
        sample.memory = .init(totalBytes: 1000, usedBytes: 400, freeBytes: 600)
        sample.utilizationPercent = 87
        sample.temperatureCelsius = 61
        sample.slowdownCelsius = 89
        sample.shutdownCelsius = 94
        sample.powerMilliwatts = 251_500
        sample.powerLimitMilliwatts = 700_000
        sample.clockEvents = [.softwarePowerCap, .hardwareThermal]
        sample.eccCorrected = 3
        sample.eccUncorrected = 1
        sample.remappedRows = .init(corrected: 2, uncorrected: 1, isPending: true, hasFailed: false)
        sample.hasRetiredPagesPending = false
        sample.pcieReplays = 10
        sample.recovery = .drainP2P
        sample.xids = [13, 79, 13]
        return sample
    }

    @Test func `a sample is shown under the names and in the units of the catalogue`() {
        metrics.sampled(Self.fullSample(DeviceID(.cuda, 1)))
        #expect(
            samples.isSuperset(of: [
                #"gpu_memory_used_bytes{gpu_id="1"} 400"#, #"gpu_memory_available_bytes{gpu_id="1"} 600"#,
                #"gpu_utilization_percent{gpu_id="1"} 87"#, #"gpu_temperature_celsius{gpu_id="1"} 61"#,
                #"gpu_temperature_limit_celsius{gpu_id="1",kind="slowdown"} 89"#,
                #"gpu_temperature_limit_celsius{gpu_id="1",kind="shutdown"} 94"#,
                #"gpu_health_status{gpu_id="1"} 1"#, #"gpu_power_watts{gpu_id="1"} 251.5"#,
                #"gpu_power_limit_watts{gpu_id="1"} 700"#,
                #"gpu_clock_event_active{gpu_id="1",reason="idle"} 0"#,
                #"gpu_clock_event_active{gpu_id="1",reason="software_power_cap"} 1"#,
                #"gpu_clock_event_active{gpu_id="1",reason="hardware_slowdown"} 0"#,
                #"gpu_clock_event_active{gpu_id="1",reason="software_thermal"} 0"#,
                #"gpu_clock_event_active{gpu_id="1",reason="hardware_thermal"} 1"#,
                #"gpu_clock_event_active{gpu_id="1",reason="power_brake"} 0"#,
                #"gpu_xid_errors_total{gpu_id="1",xid="13"} 2"#, #"gpu_xid_errors_total{gpu_id="1",xid="79"} 1"#,
                #"gpu_remapped_rows{gpu_id="1",kind="corrected"} 2"#, #"gpu_remapped_rows{gpu_id="1",kind="uncorrected"} 1"#,
                #"gpu_remapped_rows{gpu_id="1",kind="pending"} 1"#, #"gpu_remapped_rows{gpu_id="1",kind="failed"} 0"#,
                #"gpu_retired_pages_pending{gpu_id="1"} 0"#,
                #"gpu_ecc_errors{gpu_id="1",kind="corrected"} 3"#, #"gpu_ecc_errors{gpu_id="1",kind="uncorrected"} 1"#,
                #"gpu_pcie_replays_total{gpu_id="1"} 10"#,
                #"gpu_recovery_action{action="none",gpu_id="1"} 0"#, #"gpu_recovery_action{action="drain_p2p",gpu_id="1"} 1"#,
            ]), "\(samples.sorted())")
    }

    @Test func `a CUDA device goes by its number, a simulated one by its name, a CPU has no gpu family`() {
        for device in [DeviceID(.cuda, 0), DeviceID(.sim, 0), DeviceID(.cpu, 0)] {
            metrics.found(GPUInfo(device: device, name: "Device"))
            metrics.sampled(Self.fullSample(device))
            metrics.changed(device, stage: .healthy, fallback: .none, weight: 1, isServing: true)
        }
        let ids = samples.filter { $0.hasPrefix("gpu_health_status") }
        #expect(ids == [#"gpu_health_status{gpu_id="0"} 1"#, #"gpu_health_status{gpu_id="sim:0"} 1"#])
        #expect(samples.contains(#"gpu_info{device="sim:0",driver_version="",gpu_id="sim:0",name="Device",uuid=""} 1"#))
        #expect(!samples.contains { $0.hasPrefix("gpu_") && $0.contains("cpu") })
        #expect(samples.contains(#"apus_device_up{device="cpu:0"} 1"#))
    }

    @Test func `what a device no longer tells is no longer shown, and comes back with it`() {
        let device = DeviceID(.cuda, 0)
        metrics.sampled(Self.fullSample(device))
        metrics.sampled(DeviceSample(device: device, answer: .lost))
        #expect(samples.filter { $0.hasPrefix("gpu_") && !$0.hasPrefix("gpu_xid") && !$0.hasPrefix("gpu_pcie") } == [#"gpu_health_status{gpu_id="0"} 0"#])
        #expect(samples.contains(#"gpu_xid_errors_total{gpu_id="0",xid="79"} 1"#), "a counter stays")
        metrics.sampled(Self.fullSample(device))
        #expect(samples.contains(#"gpu_temperature_celsius{gpu_id="0"} 61"#))
        #expect(samples.contains(#"gpu_health_status{gpu_id="0"} 1"#))
    }

    @Test func `a device that waits for a reset says so although nothing else is known of it`() {
        var sample = DeviceSample(device: DeviceID(.cuda, 0), answer: .needsReset)
        sample.recovery = .reset
        metrics.sampled(sample)
        #expect(samples.contains(#"gpu_recovery_action{action="reset",gpu_id="0"} 1"#))
        #expect(samples.contains(#"gpu_health_status{gpu_id="0"} 0"#))
        #expect(!samples.contains { $0.hasPrefix("gpu_clock_event_active") })
    }

    @Test func `without sensors the health of a device is that of its stage alone`() {
        let device = DeviceID(.cuda, 0)
        metrics.sampled(Self.fullSample(device))
        metrics.sampleMissing(of: device)
        #expect(!samples.contains { $0.hasPrefix("gpu_health_status") || $0.hasPrefix("gpu_temperature") })
        metrics.changed(device, stage: .quarantined, fallback: .permanent, weight: 0, isServing: false)
        #expect(samples.contains(#"gpu_health_status{gpu_id="0"} 0"#))
        metrics.changed(device, stage: .healthy, fallback: .none, weight: 1, isServing: true)
        #expect(samples.contains(#"gpu_health_status{gpu_id="0"} 1"#))
        metrics.sampleMissing(of: DeviceID(.cuda, 7))
        #expect(!samples.contains { $0.contains(#"gpu_id="7""#) })
    }

    @Test(arguments: DeviceStage.allCases)
    func `exactly one stage is on`(stage: DeviceStage) {
        let device = DeviceID(.sim, 3)
        metrics.changed(device, stage: .suspect, fallback: .none, weight: 0.5, isServing: true)
        metrics.changed(device, stage: stage, fallback: .temporary, weight: 0.25, isServing: false)
        let stages = samples.filter { $0.hasPrefix("apus_device_stage{") }
        #expect(stages.count == DeviceStage.allCases.count)
        #expect(stages.filter { $0.hasSuffix(" 1") } == ["apus_device_stage{device=\"sim:3\",stage=\"\(stage.rawValue)\"} 1"])
        #expect(
            samples.isSuperset(of: [
                #"apus_device_fallback_stage{device="sim:3"} 1"#, #"apus_device_weight{device="sim:3"} 0.25"#,
                #"apus_device_up{device="sim:3"} 0"#, "gpu_health_status{gpu_id=\"sim:3\"} \(stage == .healthy ? 1 : 0)",
            ]))
    }

    @Test func `replays on the bus are counted on from what the driver says, over its restart`() {
        for count in [10, 10, 14, 3, 5] {
            var sample = DeviceSample(device: DeviceID(.cuda, 0))
            sample.pcieReplays = count
            metrics.sampled(sample)
        }
        #expect(samples.contains(#"gpu_pcie_replays_total{gpu_id="0"} 19"#))
    }

    @Test func `a device that was found has its counters at zero`() {
        metrics.found(GPUInfo(device: DeviceID(.cpu, 0), name: "CPU"))
        for cause in ["crashed", "sticky", "killed", "hung", "stopped", "spawn"] {
            #expect(samples.contains("apus_device_restarts_total{cause=\"\(cause)\",device=\"cpu:0\"} 0"))
        }
        for result in ["right", "wrong", "failed"] {
            #expect(samples.contains("apus_device_known_answer_total{device=\"cpu:0\",result=\"\(result)\"} 0"))
        }
        #expect(samples.contains(#"apus_device_batches_total{device="cpu:0",outcome="ok"} 0"#))
        #expect(samples.contains(#"apus_device_batches_total{device="cpu:0",outcome="device_poisoned"} 0"#))
    }

    @Test func `events are counted`() {
        let device = DeviceID(.cpu, 1)
        metrics.restarted(device, after: .sticky)
        metrics.restarted(device, after: .sticky)
        metrics.spawnFailed(device)
        metrics.recovered(device, seconds: 1.5)
        metrics.knownAnswer(.wrong, on: device)
        metrics.batchEnded(BatchReport(device: device, result: .succeeded, sequences: 2, tokens: 9, seconds: 0.25))
        metrics.batchEnded(BatchReport(device: device, result: .failed(.hung, .device), sequences: 2, tokens: 9, seconds: 2))
        // The third look is at a new worker, which counts from the start.
        for use in [
            BufferUse(hits: 10, misses: 4, heldBytes: 8, trimmedBytes: 0), BufferUse(hits: 15, misses: 4, heldBytes: 6, trimmedBytes: 2),
            BufferUse(hits: 3, misses: 1, heldBytes: 5, trimmedBytes: 0),
        ] {
            let memory = DeviceMemory(allocatedBytes: 25, reservedBytes: 50, maxAllocatedBytes: 30, totalBytes: 100, buffers: use)
            metrics.counted(memory, of: device)
        }
        metrics.capacity(0.5)
        metrics.chaos(isActive: true)
        metrics.monitor(isAnswering: false)
        #expect(
            samples.isSuperset(of: [
                #"apus_device_restarts_total{cause="sticky",device="cpu:1"} 2"#,
                #"apus_device_restarts_total{cause="spawn",device="cpu:1"} 1"#,
                #"apus_device_recovery_seconds_bucket{device="cpu:1",le="1"} 0"#,
                #"apus_device_recovery_seconds_bucket{device="cpu:1",le="2"} 1"#,
                #"apus_device_recovery_seconds_sum{device="cpu:1"} 1.5"#,
                #"apus_device_known_answer_total{device="cpu:1",result="wrong"} 1"#,
                #"apus_device_batches_total{device="cpu:1",outcome="ok"} 1"#,
                #"apus_device_batches_total{device="cpu:1",outcome="device_hung"} 1"#,
                #"apus_device_busy_seconds_total{device="cpu:1"} 2.25"#,
                #"apus_device_memory_allocated_bytes{device="cpu:1"} 25"#,
                #"apus_device_memory_reserved_bytes{device="cpu:1"} 50"#,
                #"apus_device_memory_max_allocated_bytes{device="cpu:1"} 30"#,
                #"apus_device_memory_total_bytes{device="cpu:1"} 100"#,
                #"apus_device_memory_utilization_percent{device="cpu:1"} 25"#,
                #"apus_device_buffer_hits_total{device="cpu:1"} 18"#,
                #"apus_device_buffer_misses_total{device="cpu:1"} 5"#,
                #"apus_device_buffer_trimmed_bytes_total{device="cpu:1"} 2"#,
                #"apus_device_buffer_held_bytes{device="cpu:1"} 5"#,
                "apus_capacity_ratio 0.5", "apus_chaos_active 1", "apus_monitor_up 0",
            ]), "\(samples.sorted())")
        metrics.chaos(isActive: false)
        metrics.monitor(isAnswering: true)
        #expect(samples.isSuperset(of: ["apus_chaos_active 0", "apus_monitor_up 1"]))
    }

    @Test func `a device that is no longer configured leaves its counters only`() {
        let (gone, staying) = (DeviceID(.cuda, 0), DeviceID(.cuda, 1))
        for device in [gone, staying] {
            metrics.found(GPUInfo(device: device, name: "Device", uuid: "GPU-\(device.index)"))
            metrics.sampled(Self.fullSample(device))
            metrics.changed(device, stage: .healthy, fallback: .none, weight: 1, isServing: true)
            metrics.counted(DeviceMemory(totalBytes: 100), of: device)
        }
        metrics.removed(gone)
        let left = samples.filter { $0.contains(#"device="cuda:0""#) || $0.contains(#"gpu_id="0""#) }
        #expect(!left.isEmpty)
        #expect(left.allSatisfy { $0.prefix { $0 != "{" }.hasSuffix("_total") }, "\(left)")
        #expect(samples.contains(#"apus_device_up{device="cuda:1"} 1"#))
        metrics.removed(gone)
    }

    @Test func `every family that is emitted is in the catalogue, of that kind and with those labels`() throws {
        let device = DeviceID(.sim, 0)
        metrics.found(GPUInfo(device: device, name: "Simulated", uuid: "SIM-0"))
        metrics.sampled(Self.fullSample(device))
        metrics.changed(device, stage: .healthy, fallback: .none, weight: 1, isServing: true)
        metrics.recovered(device, seconds: 1)
        metrics.batchEnded(BatchReport(device: device, result: .succeeded, sequences: 1, tokens: 1, seconds: 1))
        metrics.counted(DeviceMemory(), of: device)
        metrics.capacity(1)
        metrics.chaos(isActive: false)
        metrics.monitor(isAnswering: true)
        let catalog = Dictionary(uniqueKeysWithValues: MetricCatalog.all.map { ($0.name, $0) })
        var seen: Set<String> = []
        for sample in samples {
            let series = sample.split(separator: " ")[0].split(separator: "{")
            var name = String(series[0])
            for suffix in ["_bucket", "_sum", "_count"] where catalog[name] == nil && name.hasSuffix(suffix) {
                name.removeLast(suffix.count)
            }
            let descriptor = try #require(catalog[name], "\(sample)")
            let labels = series.count == 1 ? [] : series[1].dropLast().split(separator: ",").map { String($0.prefix { $0 != "=" }) }
            #expect(Set(labels).subtracting(["le"]) == Set(descriptor.labels), "\(sample)")
            seen.insert(name)
        }
        let expected = MetricCatalog.all.map(\.name).filter {
            $0.hasPrefix("gpu_") || $0.hasPrefix("apus_device_") || ["apus_capacity_ratio", "apus_chaos_active", "apus_monitor_up"].contains($0)
        }
        #expect(seen == Set(expected))
    }
}

extension PrometheusRegistry {
    /// The lines of the text that are samples.
    fileprivate var samples: Set<String> {
        Set(String(decoding: text(), as: UTF8.self).split(separator: "\n").filter { !$0.hasPrefix("#") }.map(String.init))
    }
}
