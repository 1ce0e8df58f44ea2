package import ApusExecution
package import ApusTensor

/// A model on one device, ready to serve.
package struct EncoderReplica: Sendable {
    package let executor: any Executor
    package let encoder: SentenceEncoder
    /// What it really runs in there.
    package let precision: Precision
    /// Whether it stands in for another device.
    package var fallback: FallbackStage
    /// Share of a batch's token budget to fill, above 0 to 1: less on a device that is hot or short of memory.
    package var share: Double

    package var device: DeviceID { executor.device }

    package init(
        executor: any Executor, encoder: SentenceEncoder, precision: Precision, fallback: FallbackStage = .none, share: Double = 1
    ) {
        self.executor = executor
        self.encoder = encoder
        self.precision = precision
        self.fallback = fallback
        self.share = share
    }
}
