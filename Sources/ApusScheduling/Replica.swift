package import ApusExecution
package import ApusTensor

/// A model on one device, ready to serve.
package struct Replica<Work: BatchWork>: Sendable {
    package let executor: any Executor
    package let work: Work
    /// The device's lanes and who else uses them.
    package let lanes: DeviceLanes
    /// What it really runs in there.
    package let precision: Precision
    /// Tokens of a batch where the policy names no budget.
    package let tokenBudget: Int
    /// Padded tokens of the largest batch that is known to fit; nil while none was too large.
    package var ceiling: Int?
    /// Whether it stands in for another device.
    package var fallback: FallbackStage
    /// Share of a batch's token budget to fill, above 0 to 1: less on a device that is hot or short of memory.
    package var share: Double

    package var device: DeviceID { executor.device }
    /// Those of a group, stage by stage; empty for one device.
    let devices: [DeviceID]

    /// - Parameter lanes: nil where no other model uses the executor.
    package init(
        executor: any Executor, work: Work, lanes: DeviceLanes? = nil, precision: Precision, tokenBudget: Int? = nil,
        ceiling: Int? = nil, fallback: FallbackStage = .none, share: Double = 1
    ) {
        self.executor = executor
        self.work = work
        self.lanes = lanes ?? DeviceLanes(executor)
        self.precision = precision
        devices = executor.group?.devices.flatMap(\.self) ?? []
        self.tokenBudget = tokenBudget ?? executor.device.kind.tokenBudget
        self.ceiling = ceiling
        self.fallback = fallback
        self.share = share
    }
}

extension DeviceID.Kind {
    /// On a CPU few enough tokens to keep the activations of a small encoder in a core's L2 cache, which measured faster than any larger
    /// budget; on an accelerator enough to fill its units.
    package var tokenBudget: Int {
        switch self {
        case .cpu, .sim: 384
        case .cuda, .openvino, .webgpu, .tensorrtrtx: 16_384
        }
    }
}
