import ApusErrors
import ApusExecution
import ApusGraph
import ApusTensor
package import Metrics

/// What is counted while texts become vectors, by model.
package struct EmbeddingMetrics: Sendable {
    private let model: String
    private let factory: any MetricsFactory
    private let queue: Timer
    private let tokenize: Timer
    private let run: Timer
    private let batchSize: Recorder
    private let batchTokens: Recorder
    private let tokens: Counter
    private let padding: Counter
    private let onDevice: Counter

    package init(model: String, _ factory: any MetricsFactory = MetricsSystem.factory) {
        self.model = model
        self.factory = factory
        let labels = [("model", model)]
        queue = Timer(label: "apus_queue_seconds", dimensions: labels, preferredDisplayUnit: .seconds, factory: factory)
        tokenize = Timer(label: "apus_tokenize_seconds", dimensions: labels, preferredDisplayUnit: .seconds, factory: factory)
        run = Timer(label: "apus_run_seconds", dimensions: labels, preferredDisplayUnit: .seconds, factory: factory)
        batchSize = Recorder(label: "apus_batch_size", dimensions: labels, aggregate: true, factory: factory)
        batchTokens = Recorder(label: "apus_batch_tokens", dimensions: labels, aggregate: true, factory: factory)
        tokens = Counter(label: "apus_tokens_total", dimensions: labels, factory: factory)
        padding = Counter(label: "apus_padding_tokens_total", dimensions: labels, factory: factory)
        onDevice = Counter(label: "apus_expired_on_device_total", dimensions: labels, factory: factory)
    }

    func queued(nanoseconds: Int) {
        queue.recordNanoseconds(Int64(nanoseconds))
    }

    func tokenized(nanoseconds: Int) {
        tokenize.recordNanoseconds(Int64(nanoseconds))
    }

    func ran(_ batch: EncoderBatch, on replica: EncoderReplica, nanoseconds: Int) {
        count("apus_inputs_total", [("device", replica.device.description)], by: batch.count)
        if replica.fallback != .none { count("apus_fallback_inputs_total", [("stage", replica.fallback.rawValue)], by: batch.count) }
        run.recordNanoseconds(Int64(nanoseconds))
        batchSize.record(batch.count)
        batchTokens.record(batch.tokenCount + batch.paddingCount)
        tokens.increment(by: batch.tokenCount)
        padding.increment(by: batch.paddingCount)
    }

    func failed(_ batch: FailedBatch, _ error: ApusError) {
        let replayed = batch.replays.reduce(0) { $0 + $1.count }
        if replayed > 0 { count("apus_replays_total", [("cause", error.code.rawValue)], by: replayed) }
        if !batch.quarantined.isEmpty { count("apus_quarantined_inputs_total", by: batch.quarantined.count) }
    }

    /// A batch goes to a device with so many inputs whose deadline had passed when it began. None, unless the scheduler is at fault: the
    /// counter is there to be watched.
    func reached(overdue inputs: Int) {
        onDevice.increment(by: inputs)
    }

    /// Inputs whose deadline passed, or whose client went, before they reached a device.
    func expired(_ inputs: Int) {
        count("apus_expired_inputs_total", by: inputs)
    }

    private func count(_ name: String, _ labels: [(String, String)] = [], by amount: Int) {
        Counter(label: name, dimensions: [("model", model)] + labels, factory: factory).increment(by: amount)
    }
}
