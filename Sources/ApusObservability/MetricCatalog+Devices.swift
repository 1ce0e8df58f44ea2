/// The families that tell how devices are. Emitted by ApusDevices' `DeviceMetrics`.
extension MetricCatalog {
    /// From a worker that starts warm to a device that an operator had to bring back.
    package static let recoveryBuckets: [Double] = [0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300, 1800]

    /// Every device that serves, CPUs too; `device` is spelled as on the command line: `cpu:0`, `cuda:1`.
    static let devices: [MetricDescriptor] = [
        .init("apus_device_up", .gauge, by: ["device"], "1 while the device serves, 0 while it does not."),
        .init(
            "apus_device_stage", .gauge, by: ["device", "stage"],
            "1 for the stage of recovery the device is in, 0 for the others: healthy, suspect, shrunk, restarting, quarantined, lost."
        ),
        .init(
            "apus_device_fallback_stage", .gauge, by: ["device"],
            "Who does the device's work: 0 the device itself, 1 a stand-in until it is back, 2 a stand-in until an operator acts."
        ),
        .init("apus_device_weight", .gauge, by: ["device"], "Share of its usual work that the device is given, 0 to 1."),
        .init(
            "apus_device_restarts_total", .counter, by: ["device", "cause"],
            "Worker processes replaced, by device and cause: crashed, sticky (it ended itself, its device was poisoned), killed (by somebody outside), hung, stopped (by Apus), spawn (it did not start)."
        ),
        .init(
            "apus_device_recovery_seconds", .histogram(buckets: recoveryBuckets), by: ["device"],
            "Seconds from the withdrawal of the device to its admission, by device."
        ),
        .init(
            "apus_device_batches_total", .counter, by: ["device", "outcome"],
            "Batches run, by device and outcome (ok, or how the batch failed)."
        ),
        .init("apus_device_busy_seconds_total", .counter, by: ["device"], "Seconds spent in batches, added over the device's lanes."),
        .init("apus_device_memory_allocated_bytes", .gauge, by: ["device"], "Bytes of device memory that models and batches use."),
        .init("apus_device_memory_reserved_bytes", .gauge, by: ["device"], "Bytes taken from the device, in use or kept for later."),
        .init("apus_device_memory_max_allocated_bytes", .gauge, by: ["device"], "The most bytes of the device that were in use at once."),
        .init("apus_device_memory_total_bytes", .gauge, by: ["device"], "Bytes the device has, or may use."),
        .init(
            "apus_device_memory_utilization_percent", .gauge, by: ["device"],
            "Bytes in use as a share of the bytes the device has or may use, 0 to 100."
        ),
        .init(
            "apus_device_buffer_hits_total", .counter, by: ["device"],
            "Tensors on their way to and from the device that were given storage of earlier ones, in the front and in its worker."
        ),
        .init("apus_device_buffer_misses_total", .counter, by: ["device"], "Tensors that had to be given new storage instead."),
        .init("apus_device_buffer_held_bytes", .gauge, by: ["device"], "Bytes of storage kept for later tensors."),
        .init("apus_device_buffer_trimmed_bytes_total", .counter, by: ["device"], "Bytes of storage given back since nothing needed them."),
        .init(
            "apus_device_known_answer_total", .counter, by: ["device", "result"],
            "Runs whose right answer is known, by device and result: right, wrong, failed (there was no answer)."
        ),
    ]

    /// All devices together.
    static let fleet: [MetricDescriptor] = [
        .init("apus_capacity_ratio", .gauge, "Share of the capacity of all configured devices that serves now, 0 to 1."),
        .init("apus_chaos_active", .gauge, "1 while failures are being injected on purpose (--chaos), else 0."),
        .init("apus_monitor_up", .gauge, "1 while the process that reads the accelerators' sensors answers, else 0."),
    ]

    /// Samples for accelerators only, simulated ones included. `gpu_id` is CUDA's number of the device (`0`), for other accelerators
    /// the device's name (`sim:0`).
    static let accelerators: [MetricDescriptor] = [
        .init("gpu_info", .gauge, by: ["gpu_id", "device", "name", "uuid", "driver_version"], "1 for every accelerator found; its labels say what it is."),
        .init("gpu_memory_used_bytes", .gauge, by: ["gpu_id"], "Accelerator memory in use, by any process."),
        .init("gpu_memory_available_bytes", .gauge, by: ["gpu_id"], "Accelerator memory free."),
        .init("gpu_utilization_percent", .gauge, by: ["gpu_id"], "Share of time the accelerator was busy, 0 to 100."),
        .init("gpu_temperature_celsius", .gauge, by: ["gpu_id"], "Accelerator temperature."),
        .init(
            "gpu_temperature_limit_celsius", .gauge, by: ["gpu_id", "kind"],
            "Temperature at which the accelerator slows itself down or shuts itself down, by kind (slowdown, shutdown)."
        ),
        .init("gpu_health_status", .gauge, by: ["gpu_id"], "1 when the accelerator is healthy, 0 when it is not."),
        .init("gpu_power_watts", .gauge, by: ["gpu_id"], "Power the accelerator draws."),
        .init("gpu_power_limit_watts", .gauge, by: ["gpu_id"], "Power limit in force."),
        .init(
            "gpu_clock_event_active", .gauge, by: ["gpu_id", "reason"],
            "1 while the accelerator's clocks are held down for that reason, else 0."
        ),
        .init("gpu_xid_errors_total", .counter, by: ["gpu_id", "xid"], "Errors the driver reported, by Xid code."),
        .init(
            "gpu_remapped_rows", .gauge, by: ["gpu_id", "kind"],
            "Rows of memory replaced by spare ones, after corrected and uncorrected errors; pending and failed are 0 or 1."
        ),
        .init("gpu_retired_pages_pending", .gauge, by: ["gpu_id"], "1 when memory pages wait for a reset to be retired, else 0."),
        .init(
            "gpu_ecc_errors", .gauge, by: ["gpu_id", "kind"],
            "Memory errors since the driver was loaded, by kind (corrected, uncorrected)."
        ),
        .init("gpu_pcie_replays_total", .counter, by: ["gpu_id"], "Transfers over PCIe that had to be repeated."),
        .init(
            "gpu_recovery_action", .gauge, by: ["gpu_id", "action"],
            "1 for what the driver says the accelerator needs, 0 for the others: none, reset, reboot, drain_p2p, drain_and_reset, imex."
        ),
    ]
}
