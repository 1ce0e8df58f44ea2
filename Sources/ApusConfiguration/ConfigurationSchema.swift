import ApusTensor

/// Every setting there is. Reading, checking, suggestions and documentation all go by this list.
package enum ConfigurationSchema {
    package static let keys: [ConfigurationKey] = server + auth + limits + batching + cache + data + models + devices + parallel + accelerators + others + environment

    private static let server: [ConfigurationKey] = [
        .text("server.host", "APUS_HOST", does: "Host name or address to listen on") { $0.server.host = $1 },
        .integer("server.port", 0...65_535, "APUS_PORT", does: "Port to listen on; 0 lets the system choose") { $0.server.port = $1 },
        .integer("server.max_body_bytes", 1...1 << 31, "APUS_MAX_BODY_BYTES", does: "Largest request body") { $0.server.maxBodyBytes = $1 },
        .integer("server.max_connections", 1...1_000_000, "APUS_MAX_CONNECTIONS", does: "Connections open at once") {
            $0.server.maxConnections = $1
        },
        .integer("server.event_loop_threads", 1...256, does: "Threads that read and write connections") { $0.server.eventLoopThreads = $1 },
        .integer("server.header_timeout_ms", milliseconds, does: "Time for a request's header block") {
            $0.server.headerTimeout = .milliseconds($1)
        },
        .integer("server.body_timeout_ms", milliseconds, does: "Time for a request's whole body") {
            $0.server.bodyTimeout = .milliseconds($1)
        },
        .integer("server.idle_timeout_ms", milliseconds, does: "Time between requests on one connection") {
            $0.server.idleTimeout = .milliseconds($1)
        },
        .integer("server.write_timeout_ms", milliseconds, does: "Time for a client to take an answer") {
            $0.server.writeTimeout = .milliseconds($1)
        },
        .integer("server.drain_timeout_ms", milliseconds, "APUS_DRAIN_TIMEOUT_MS", does: "Time for requests in flight at shutdown") {
            $0.server.drainTimeout = .milliseconds($1)
        },
    ]

    private static let limits: [ConfigurationKey] = [
        .integer("limits.max_inputs", 1...1 << 20, "APUS_MAX_INPUTS", does: "Inputs in one request") { $0.limits.maxInputs = $1 },
        .integer("limits.max_input_bytes", 1...1 << 30, "APUS_MAX_INPUT_BYTES", does: "UTF-8 bytes of one input") {
            $0.limits.maxInputBytes = $1
        },
        .integer("limits.max_queued_tokens", 1...1 << 40, "APUS_MAX_QUEUED_TOKENS", does: "Tokens that may wait for a model") {
            $0.limits.maxQueuedTokens = $1
        },
    ]

    private static let models: [ConfigurationKey] = [
        .models("models", "APUS_MODEL", "APUS_MODELS", does: "Models to serve: directories or names") { $0.models = $1 },
        .choice(
            "precision", of: precisions, "APUS_PRECISION",
            does: "The arithmetic that models run in; `auto` (the default) takes what is measured to be fastest on each device at a cosine to fp32 of `precision_floor` or more"
        ) { $0.precision = Precision(rawValue: $1) ?? $0.precision },
        .number(
            "precision_floor", floors, "APUS_PRECISION_FLOOR",
            does: "The lowest cosine to fp32 that a model is served with. Without it 0.9999, and 0.99 for int8 and 0.95 for int4 where they are asked for; below 0.9999 `auto` takes these two into account"
        ) { $0.precisionFloor = $1 },
        .segments(
            "segments", segmentCounts, "APUS_SEGMENTS",
            does: "Parts of a network that a device runs one after the other, batches in chunks; `auto` (the default) runs it whole where that fits"
        ) { $0.segments = $1 },
        .choice(
            "offload", of: offloads, "APUS_OFFLOAD",
            does: "What is done about weights for which a device has no memory: `auto` (the default) reads them segment by segment in every step, `always` does so although they fit, `never` refuses the model"
        ) { $0.offload = Configuration.Offload(rawValue: $1) ?? $0.offload },
    ]

    private static let accelerators: [ConfigurationKey] = [
        .flag("gpu.enabled", effect: .needsCUDA, does: "Whether accelerators are used") { $0.accelerators.isEnabled = $1 },
        .choices("gpu.device_preference", of: ["cuda", "tensorrt", "rocm", "mps", "cpu"], does: "Kinds of device, the first choice first") {
            $0.accelerators.preference = $1
        },
        .flag("gpu.fallback_enabled", does: "Whether a missing device is replaced by the next choice") { $0.accelerators.isFallbackEnabled = $1 },
        .integer("gpu.device_id", 0...1_023, "ONNX_GPU_DEVICE_ID", effect: .needsCUDA, does: "CUDA device to use") {
            $0.accelerators.deviceIDs = [$1]
        },
        .integer("gpu.memory_limit_mb", 1...1 << 30, "ONNX_GPU_MEM_LIMIT", effect: .needsCUDA, does: "Device memory to use, in MiB") {
            $0.accelerators.memoryLimitMiB = $1
        },
        .choice(
            "gpu.optimization.precision", of: precisions, effect: .needsAccelerator,
            does: "Precision on accelerators; CPUs, and accelerators without it, take `precision`"
        ) { $0.accelerators.precision = Precision(rawValue: $1) },
        .choice("gpu.memory.precision", of: precisions, effect: .needsAccelerator, does: "As `gpu.optimization.precision`") {
            $0.accelerators.memoryPrecision = Precision(rawValue: $1)
        },
        .flag(
            "gpu.memory.offload_to_cpu", effect: .needsAccelerator,
            does: "Whether weights that do not fit on an accelerator are read from the host segment by segment: `offload: auto` and `offload: never` for accelerators"
        ) { $0.accelerators.offloads = $1 },
        .choice(
            "gpu.optimization.graph_optimization", of: ["none", "disable", "basic", "extended", "all"], "ONNX_GRAPH_OPTIMIZATION",
            does: "How much the engine rewrites graphs"
        ) { $0.graphOptimization = Configuration.GraphOptimization(rawValue: $1 == "disable" ? "none" : $1) ?? .all },
        .flag("gpu.optimization.use_tensorrt", "MAGRAY_USE_TENSORRT", effect: .needsCUDA, does: "TensorRT in front of CUDA, its engines kept on disk") {
            $0.accelerators.usesTensorRT = $1
        },
        .flag("gpu.multi_gpu.enabled", effect: .needsCUDA, does: "Several GPUs at once") { $0.accelerators.isMultiple = $1 },
        .integers("gpu.multi_gpu.device_ids", 0...1_023, effect: .needsCUDA, does: "CUDA devices to spread over") {
            $0.accelerators.deviceIDs = $1
        },
        .integer("gpu.async.num_streams", 1...64, effect: .needsCUDA, does: "Steps that each GPU is given at the same time") {
            $0.accelerators.streams = $1
        },
        .flag("gpu.cuda.allow_tf32", effect: .needsCUDA, does: "TF32 products") { $0.accelerators.allowsTF32 = $1 },
        .flag("gpu.monitoring.log_memory_stats", does: "Whether the memory of devices is logged now and then") { $0.devices.logsMemory = $1 },
        .integer(
            "gpu.monitoring.memory_check_interval", 1...86_400, does: "Seconds between lines about the memory of devices in the log"
        ) { $0.devices.memoryInterval = .seconds($1) },
        .assignments(
            "model_assignments", 0...1_023, effect: .applies, does: "The number of the device that a model is to run on, by the model's name"
        ) { $0.modelAssignments = $1 },
    ]

    private static let others: [ConfigurationKey] = [
        .noted("gpu.performance_monitoring", .flag, effect: .none("measurements are always on, under /metrics"), does: "Measurements"),
        .noted("gpu.memory.mixed_precision", .flag, effect: .none(byPrecision), does: "Mixed precision"),
        .noted("gpu.memory.dtype", .choice(["auto", "float32", "float16", "bfloat16"]), effect: .none(byPrecision), does: "Element type of weights"),
        .noted("gpu.memory.quantization.enabled", .flag, effect: .none(byPrecision), does: "Quantised weights"),
        .noted("gpu.memory.quantization.bits", .integer(2...16), effect: .none(byPrecision), does: "Bits of quantised weights"),
        .noted("gpu.cuda.benchmark", .flag, effect: .none(noConvolutions), does: "Trying out convolution kernels"),
        .noted("ollama.gpu_layers", .integer(-1...100_000), "OLLAMA_GPU_LAYERS", effect: .none(noOllama), does: "Layers on the GPU; -1 for all"),
        .noted("ollama.num_gpu", .integer(0...1_024), "OLLAMA_NUM_GPU", effect: .none(noOllama), does: "GPUs to use"),
        .noted("ollama.use_mmap", .flag, effect: .none("weights are always memory-mapped"), does: "Memory-mapped weights"),
    ]

    private static let environment: [ConfigurationKey] = [
        .noted(
            nil, .choice(["sequential", "parallel"]), "ONNX_EXECUTION_MODE",
            effect: .none("operators always run one after another, each on all threads of its lane"), does: "Operators side by side"),
        .noted(nil, .text, "CUDA_VISIBLE_DEVICES", effect: .needsCUDA, does: "The CUDA devices that processes see"),
    ]

    /// The variables beginning with APUS_ that are read elsewhere.
    static let variablesOfOthers = ["APUS_HOME", "APUS_ENGINE", "APUS_NVML", "APUS_CUDA"]

    private static let milliseconds = 1...86_400_000
    static let precisions = Precision.allCases.map(\.rawValue)
    /// Of a cosine to fp32.
    static let floors = 0.0...1.0
    static let offloads = Configuration.Offload.allCases.map(\.rawValue)
    /// Networks of more layers are not read.
    static let segmentCounts = 1...1_024
    private static let byPrecision = "`precision` and `gpu.optimization.precision` say it, int8 and int4 among them"
    private static let noConvolutions = "text encoders have no convolutions"
    private static let noOllama = "models are not run by Ollama"
}
