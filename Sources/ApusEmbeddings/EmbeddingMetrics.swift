import ApusGraph
package import Metrics

/// What is counted while texts become vectors, by model.
package struct EmbeddingMetrics: Sendable {
    private let queue: Timer
    private let tokenize: Timer
    private let run: Timer
    private let batchSize: Recorder
    private let batchTokens: Recorder
    private let tokens: Counter
    private let padding: Counter

    package init(model: String, _ factory: any MetricsFactory = MetricsSystem.factory) {
        let labels = [("model", model)]
        queue = Timer(label: "apus_queue_seconds", dimensions: labels, preferredDisplayUnit: .seconds, factory: factory)
        tokenize = Timer(label: "apus_tokenize_seconds", dimensions: labels, preferredDisplayUnit: .seconds, factory: factory)
        run = Timer(label: "apus_run_seconds", dimensions: labels, preferredDisplayUnit: .seconds, factory: factory)
        batchSize = Recorder(label: "apus_batch_size", dimensions: labels, aggregate: true, factory: factory)
        batchTokens = Recorder(label: "apus_batch_tokens", dimensions: labels, aggregate: true, factory: factory)
        tokens = Counter(label: "apus_tokens_total", dimensions: labels, factory: factory)
        padding = Counter(label: "apus_padding_tokens_total", dimensions: labels, factory: factory)
    }

    func queued(nanoseconds: Int) {
        queue.recordNanoseconds(Int64(nanoseconds))
    }

    func tokenized(nanoseconds: Int) {
        tokenize.recordNanoseconds(Int64(nanoseconds))
    }

    func ran(_ batch: EncoderBatch, nanoseconds: Int) {
        run.recordNanoseconds(Int64(nanoseconds))
        batchSize.record(batch.count)
        batchTokens.record(batch.tokenCount + batch.paddingCount)
        tokens.increment(by: batch.tokenCount)
        padding.increment(by: batch.paddingCount)
    }
}
