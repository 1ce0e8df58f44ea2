/// Every metric Apus exports, in one place. Each family's HELP and TYPE lines are always shown, samples once there are any.
///
/// Rooms emit through swift-metrics by these names and do not know this table: `Counter` and `FloatingPointCounter` for counters,
/// `Meter` for gauges, `Recorder` for histograms of plain numbers and `Timer` for histograms of seconds. The room that emits a
/// family is named at the head of its group.
package enum MetricCatalog {
    /// 0.25 ms to 60 s: from one short text on an idle machine to a request that waited a long queue out.
    package static let secondsBuckets: [Double] = [
        0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]
    /// Rows of a batch: powers of two.
    package static let rowBuckets: [Double] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    /// Tokens of a batch: powers of two from one short text to a full budget.
    package static let tokenBuckets: [Double] = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768]

    package static let all: [MetricDescriptor] =
        service + collections + embeddings + cache + recovery + devices + fleet + plans + accelerators + process + observability

    /// Emitted by ApusService.
    static let service: [MetricDescriptor] = [
        .init("apus_requests_total", .counter, by: ["route", "code"], "Requests answered, by route and error code (ok when there was none)."),
        .init(
            "apus_request_seconds", .histogram(buckets: secondsBuckets), by: ["route"],
            "Seconds from a complete request to its complete answer, by route."
        ),
        .init("apus_in_flight_requests", .gauge, "Requests being answered now."),
        .init("apus_truncated_inputs_total", .counter, by: ["model"], "Inputs that were cut to the model's longest, by model."),
    ]

    /// Emitted by the rooms that tokenise, queue and run.
    static let embeddings: [MetricDescriptor] = [
        .init("apus_queue_seconds", .histogram(buckets: secondsBuckets), by: ["model"], "Seconds an input waited for its batch, by model."),
        .init("apus_tokenize_seconds", .histogram(buckets: secondsBuckets), by: ["model"], "Seconds to tokenise one request, by model."),
        .init("apus_run_seconds", .histogram(buckets: secondsBuckets), by: ["model"], "Seconds to run one batch, by model."),
        .init("apus_batch_size", .histogram(buckets: rowBuckets), by: ["model"], "Rows in a batch, by model."),
        .init("apus_batch_tokens", .histogram(buckets: tokenBuckets), by: ["model"], "Tokens in a batch, padding included, by model."),
        .init("apus_tokens_total", .counter, by: ["model"], "Tokens run, padding not included, by model."),
        .init("apus_padding_tokens_total", .counter, by: ["model"], "Padding tokens run, by model."),
        .init(
            "apus_batch_token_budget", .gauge, by: ["model", "device"],
            "Tokens that a batch may hold now, by model and device; follows the latency target where one is set."),
        .init(
            "apus_batch_ceiling_tokens", .gauge, by: ["model", "device"],
            "Padded tokens of the largest batch that fits the memory, by model and device, once one did not fit."),
        .init(
            "apus_batch_prediction_error_ratio", .gauge, by: ["model", "device"],
            "How far the predicted time of a batch is from the measured one, relative and averaged, by model and device."),
        .init(
            "apus_coalesced_inputs_total", .counter, by: ["model"],
            "Inputs that were not computed because an equal one was on its way, by model."),
        .init("apus_inputs_total", .counter, by: ["model", "device"], "Inputs computed, by model and the device that computed them."),
    ]

    /// What becomes of inputs when devices fail. Emitted by the room that queues and runs.
    static let recovery: [MetricDescriptor] = [
        .init(
            "apus_replays_total", .counter, by: ["model", "cause"],
            "Inputs that ran again because the batch they were in failed, by model and how it failed."
        ),
        .init(
            "apus_quarantined_inputs_total", .counter, by: ["model"],
            "Inputs refused because they ended the process that computed them more than once, by model."
        ),
        .init(
            "apus_expired_inputs_total", .counter, by: ["model"],
            "Inputs dropped before they reached a device because their deadline had passed or their client had gone, by model."
        ),
        .init(
            "apus_expired_on_device_total", .counter, by: ["model"],
            "Inputs that were given to a device after their deadline, by model; anything but 0 is a fault of Apus."
        ),
        .init(
            "apus_fallback_inputs_total", .counter, by: ["model", "stage"],
            "Inputs computed by a stand-in for the device that was meant to, by model and fallback stage (temporary or permanent)."
        ),
    ]

    /// Read from the operating system at each scrape, under the names every Prometheus client uses.
    static let process: [MetricDescriptor] = [
        .init("process_resident_memory_bytes", .gauge, "Resident memory of this process."),
        .init("process_cpu_seconds_total", .counter, "User and system CPU seconds spent by this process."),
        .init("process_start_time_seconds", .gauge, "Start of this process, in seconds since 1970."),
    ]

    static let observability: [MetricDescriptor] = [
        .init(
            "apus_metric_series_refused_total", .counter, by: ["family"],
            "Label sets that were folded into one series because their family had too many, by family."
        )
    ]
}
