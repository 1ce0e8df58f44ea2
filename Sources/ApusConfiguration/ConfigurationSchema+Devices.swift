extension ConfigurationSchema {
    /// Which devices serve and how they are treated, whatever their kind.
    static let devices: [ConfigurationKey] = [
        .text("devices.list", "APUS_DEVICES", does: "Devices to serve on: `auto`, `cpu`, `cpu:2` (two logical devices), `cuda:0,1`, `sim:4`") {
            $0.devices.list = $1
        },
        .choice(
            "devices.fallback", of: Configuration.Devices.Fallback.allCases.map(\.rawValue), "APUS_FALLBACK",
            does: "Who stands in for a device that fails: spare devices and then the CPU, spare devices only, nobody"
        ) { $0.devices.fallback = Configuration.Devices.Fallback(rawValue: $1) },
        .flag("devices.in_process", "APUS_IN_PROCESS", does: "Whether models run in the server's own process") { $0.devices.isInProcess = $1 },
        .number(
            "devices.performance_threshold", 0...1_000, "APUS_PERFORMANCE_THRESHOLD", "MAGRAY_GPU_FALLBACK_THRESHOLD",
            effect: .needsAccelerator, does: "Times the CPU's measured speed that an accelerator must reach to be used"
        ) { $0.devices.performanceThreshold = $1 },
        .integer(
            "devices.memory_limit_mb", 1...1 << 30, "APUS_DEVICE_MEMORY_LIMIT",
            does: "Memory of each device to use, in MiB: what models are estimated to take stays below it"
        ) { $0.devices.memoryLimitMiB = $1 },
        .choice(
            "devices.assignment", of: Configuration.Devices.Assignment.allCases.map(\.rawValue), effect: .needsAccelerator,
            does: "What becomes of a model of which a device leaves parts to the CPU: it is reported, or refused"
        ) { $0.devices.assignment = Configuration.Devices.Assignment(rawValue: $1) ?? .report },
        .flag("devices.cuda_graphs", effect: .needsCUDA, does: "Steps of a shape seen before are replayed where the engine can") {
            $0.devices.usesCUDAGraphs = $1
        },
        .integer("devices.retry_limit", 0...1_000, does: "Failed batches in a row that a device may have and go on") {
            $0.devices.retryLimit = $1
        },
        .integer(
            "devices.temporary_limit", 0...1_000, does: "Failed batches in a row after which a device is not tried again by itself"
        ) { $0.devices.temporaryLimit = $1 },
        .integer(
            "devices.health_interval_ms", 100...3_600_000, effect: .needsAccelerator, does: "Time between samples of the sensors"
        ) { $0.devices.healthInterval = .milliseconds($1) },
        .text("devices.plugins.openvino", does: "The OpenVINO provider's library, for devices `openvino:N`") { $0.devices.plugins["openvino"] = $1 },
        .text("devices.plugins.webgpu", does: "The WebGPU provider's library, for devices `webgpu:N`") { $0.devices.plugins["webgpu"] = $1 },
        .text("devices.plugins.tensorrtrtx", does: "The library of the TensorRT for RTX provider, for devices `tensorrtrtx:N`") {
            $0.devices.plugins["tensorrtrtx"] = $1
        },
    ]
}
