package import ApusPlacement
package import ApusTensor

extension Configuration {
    /// How models are spread over several devices. What is nil or empty is left to the planner.
    package struct Parallel: Sendable, Equatable {
        package var strategy: ParallelWishes.Strategy?
        package var tensorParallel: Int?
        package var pipelineParallel: Int?
        package var replicas: Int?
        /// Bounds of scaling.
        package var minReplicas: Int?
        package var maxReplicas: Int?
        package var deviceIDs: [DeviceID] = []
        package var preferredDevices: [DeviceID] = []
        package var splits: [SplitPoint] = []
        /// Tensors of an ONNX file behind which it is cut.
        package var cuts: [String] = []

        package init() {}

        /// These settings, and `others` where these say nothing. Who says how a model is cut says all of it: a model of its own split points or sizes
        /// takes neither from `others`.
        package func over(_ others: Parallel) -> Parallel {
            var merged = self
            if !saysCut {
                merged.strategy = strategy ?? others.strategy
                merged.tensorParallel = others.tensorParallel
                merged.pipelineParallel = others.pipelineParallel
                merged.splits = others.splits
                merged.cuts = others.cuts
            }
            merged.replicas = replicas ?? others.replicas
            merged.minReplicas = minReplicas ?? others.minReplicas
            merged.maxReplicas = maxReplicas ?? others.maxReplicas
            if deviceIDs.isEmpty { merged.deviceIDs = others.deviceIDs }
            if preferredDevices.isEmpty { merged.preferredDevices = others.preferredDevices }
            return merged
        }

        private var saysCut: Bool {
            strategy != nil || tensorParallel != nil || pipelineParallel != nil || !splits.isEmpty || !cuts.isEmpty
        }
    }

    /// The same wishes in the spellings of other platforms, which mean accelerators. ``parallel`` goes before them.
    package struct PlatformParallel: Sendable, Equatable {
        /// `gpu.multi_gpu.strategy`.
        package var strategy: ParallelWishes.Strategy?
        /// nil counts as true: a size that was given alone, as environments give it, is meant.
        package var isVLLMEnabled: Bool?
        package var vllmTensorParallel: Int?
        package var isDeepSpeedEnabled: Bool?
        package var deepSpeedTensorParallel: Int?
        package var deepSpeedPipelineParallel: Int?

        package init() {}
    }

    /// What is asked of the plan of a model.
    ///
    /// - Parameters:
    ///   - model: nil for what is asked of all models.
    ///   - kind: of the devices that serve; the spellings of other platforms count for accelerators only.
    package func parallel(of model: Model?, on kind: DeviceID.Kind) -> Parallel {
        let own = model?.parallel.over(parallel) ?? parallel
        guard kind.isAccelerator else { return own }
        return own.over(platformWishes)
    }

    private var platformWishes: Parallel {
        var wishes = Parallel()
        let platform = platformParallel
        if accelerators.isMultiple { wishes.strategy = platform.strategy }
        if platform.isVLLMEnabled != false { wishes.tensorParallel = platform.vllmTensorParallel }
        let deepSpeed = (platform.deepSpeedTensorParallel, platform.deepSpeedPipelineParallel)
        if platform.isDeepSpeedEnabled != false, deepSpeed.0 != nil || deepSpeed.1 != nil {
            (wishes.tensorParallel, wishes.pipelineParallel) = deepSpeed
        }
        // Sizes say more than a strategy, which may be another part of the platform's.
        if wishes.tensorParallel != nil || wishes.pipelineParallel != nil { wishes.strategy = nil }
        return wishes
    }
}

extension Configuration.Parallel {
    /// As the planner takes it.
    ///
    /// - Parameters:
    ///   - assignments: the one device of a model, by its name.
    ///   - fallback: what may take the place of devices that do not serve.
    package func wishes(assignments: [String: DeviceID], fallback: ParallelWishes.Fallback) -> ParallelWishes {
        var wishes = ParallelWishes()
        wishes.strategy = strategy ?? .automatic
        wishes.tensorParallel = tensorParallel
        wishes.pipelineParallel = pipelineParallel
        wishes.replicas = replicas
        wishes.deviceIDs = deviceIDs
        wishes.preferredDevices = preferredDevices
        wishes.splits = splits
        wishes.cuts = cuts
        wishes.modelAssignments = assignments
        wishes.fallback = fallback
        return wishes
    }
}
