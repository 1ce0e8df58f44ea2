import ApusBatching
import ApusErrors
import ApusExecution
import ApusTensor
package import Metrics

/// What is counted of one model's batches.
package struct BatchMetrics: Sendable {
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
    private let coalesced: Counter
    private let hits: [CacheLevel: Counter]
    private let misses: [CacheLevel: Counter]

    /// Where vectors of inputs that were embedded before are looked for.
    package enum CacheLevel: String, Sendable, CaseIterable {
        case memory, redis
    }

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
        coalesced = Counter(label: "apus_coalesced_inputs_total", dimensions: labels, factory: factory)
        func counters(_ label: String) -> [CacheLevel: Counter] {
            Dictionary(
                uniqueKeysWithValues: CacheLevel.allCases.map {
                    ($0, Counter(label: label, dimensions: labels + [("level", $0.rawValue)], factory: factory))
                })
        }
        hits = counters("apus_cache_hits_total")
        misses = counters("apus_cache_misses_total")
    }

    func queued(nanoseconds: Int) {
        queue.recordNanoseconds(Int64(nanoseconds))
    }

    package func tokenized(nanoseconds: Int) {
        tokenize.recordNanoseconds(Int64(nanoseconds))
    }

    func ran(_ shape: BatchShape, on device: DeviceID, _ fallback: FallbackStage, nanoseconds: Int) {
        count("apus_inputs_total", [("device", device.description)], by: shape.count)
        if fallback != .none { count("apus_fallback_inputs_total", [("stage", fallback.rawValue)], by: shape.count) }
        run.recordNanoseconds(Int64(nanoseconds))
        batchSize.record(shape.count)
        batchTokens.record(shape.tokens + shape.padding)
        tokens.increment(by: shape.tokens)
        padding.increment(by: shape.padding)
    }

    /// What the planner makes of `device` now.
    func judged(_ device: DeviceID, budget: Int, ceiling: Int?, predictionError: Double?) {
        gauge("apus_batch_token_budget", device, Double(budget))
        if let ceiling { gauge("apus_batch_ceiling_tokens", device, Double(ceiling)) }
        if let predictionError { gauge("apus_batch_prediction_error_ratio", device, predictionError) }
    }

    func failed(replayed: Int, quarantined: Int, _ error: ApusError) {
        if replayed > 0 { count("apus_replays_total", [("cause", error.code.rawValue)], by: replayed) }
        if quarantined > 0 { count("apus_quarantined_inputs_total", by: quarantined) }
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

    /// Inputs that were not computed because an equal one was on its way.
    func shared(_ inputs: Int) {
        coalesced.increment(by: inputs)
    }

    /// So many inputs were looked for in a level of the cache, and were there or not.
    package func lookedUp(_ level: CacheLevel, hits: Int, misses: Int) {
        if hits > 0 { self.hits[level]?.increment(by: hits) }
        if misses > 0 { self.misses[level]?.increment(by: misses) }
    }

    private func gauge(_ name: String, _ device: DeviceID, _ value: Double) {
        Meter(label: name, dimensions: [("model", model), ("device", device.description)], factory: factory).set(value)
    }

    private func count(_ name: String, _ labels: [(String, String)] = [], by amount: Int) {
        Counter(label: name, dimensions: [("model", model)] + labels, factory: factory).increment(by: amount)
    }
}
