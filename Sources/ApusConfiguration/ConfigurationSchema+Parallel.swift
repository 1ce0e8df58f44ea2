import ApusPlacement

extension ConfigurationSchema {
    /// How models are spread over devices. Those that begin with `parallel` may be said of one model too.
    static let parallel: [ConfigurationKey] = [
        .choice(
            "parallel.strategy", of: ParallelWishes.Strategy.allCases.map(\.rawValue), "APUS_PARALLEL_STRATEGY", effect: planned,
            does: "How several devices share a model: whole models side by side, stages of layers, shards of layers, both, one device, or (the default) what fits"
        ) { $0.parallel.strategy = ParallelWishes.Strategy(rawValue: $1) },
        .integer("parallel.tensor_parallel", sizes, "APUS_TENSOR_PARALLEL", effect: planned, does: "Devices that share each layer") {
            $0.parallel.tensorParallel = $1
        },
        .integer("parallel.pipeline_parallel", sizes, "APUS_PIPELINE_PARALLEL", effect: planned, does: "Stages that layers are cut into") {
            $0.parallel.pipelineParallel = $1
        },
        .integer(
            "parallel.replicas", sizes, "APUS_REPLICAS", effect: planned,
            does: "Times that a model is loaded, each on `tensor_parallel` x `pipeline_parallel` devices"
        ) { $0.parallel.replicas = $1 },
        .integer("parallel.min_replicas", sizes, effect: planned, does: "The fewest replicas that scaling leaves") {
            $0.parallel.minReplicas = $1
        },
        .integer("parallel.max_replicas", sizes, effect: planned, does: "The most replicas that scaling makes; without it their number stays") {
            $0.parallel.maxReplicas = $1
        },
        .devices("parallel.device_ids", effect: planned, does: "The only devices to plan with, in this order") { $0.parallel.deviceIDs = $1 },
        .devices("parallel.preferred_devices", effect: planned, does: "Devices to take before others") {
            $0.parallel.preferredDevices = $1
        },
        .splits("parallel.splits", effect: planned, does: "Explicit stages: each device, and the first layer that it does not hold") {
            $0.parallel.splits = $1
        },
        .texts("parallel.cuts", does: "Tensors of an ONNX file behind which it is cut into stages, in the order in which they are computed") {
            $0.parallel.cuts = $1
        },
        .choice(
            "gpu.multi_gpu.strategy", of: ["data_parallel", "model_parallel", "pipeline_parallel", "tensor_parallel"], effect: .needsAccelerator,
            does: "As `parallel.strategy`, for accelerators while `gpu.multi_gpu.enabled` is true"
        ) { $0.platformParallel.strategy = strategies[$1] },
        .flag("optimization.vllm.enabled", effect: .needsAccelerator, does: "Whether `optimization.vllm` says how accelerators share a model") {
            $0.platformParallel.isVLLMEnabled = $1
        },
        .integer(
            "optimization.vllm.tensor_parallel_size", sizes, "MUAI_OPT_VLLM_TENSOR_PARALLEL", effect: .needsAccelerator,
            does: "As `parallel.tensor_parallel`, for accelerators"
        ) { $0.platformParallel.vllmTensorParallel = $1 },
        .flag(
            "optimization.deepspeed.enabled", effect: .needsAccelerator,
            does: "Whether `optimization.deepspeed` says how accelerators share a model, before `optimization.vllm`"
        ) { $0.platformParallel.isDeepSpeedEnabled = $1 },
        .integer(
            "optimization.deepspeed.tensor_parallel", sizes, "MUAI_OPT_DEEPSPEED_TENSOR_PARALLEL", effect: .needsAccelerator,
            does: "As `parallel.tensor_parallel`, for accelerators"
        ) { $0.platformParallel.deepSpeedTensorParallel = $1 },
        .integer(
            "optimization.deepspeed.pipeline_parallel", sizes, "MUAI_OPT_DEEPSPEED_PIPELINE_PARALLEL", effect: .needsAccelerator,
            does: "As `parallel.pipeline_parallel`, for accelerators"
        ) { $0.platformParallel.deepSpeedPipelineParallel = $1 },
    ]

    private static let sizes = 1...1_024
    private static let strategies: [String: ParallelWishes.Strategy] = [
        "data_parallel": .dataParallel, "model_parallel": .pipeline, "pipeline_parallel": .pipeline, "tensor_parallel": .tensor,
    ]
    private static let planned = ConfigurationKey.Effect.applies
}
