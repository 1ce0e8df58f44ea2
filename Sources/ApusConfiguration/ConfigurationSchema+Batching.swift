extension ConfigurationSchema {
    /// How requests become batches. Those that begin with `batching` may be said of one model too.
    static let batching: [ConfigurationKey] = [
        .integer("batching.token_budget", 1...1 << 24, "APUS_TOKEN_BUDGET", does: "Tokens of one batch") { $0.batching.tokenBudget = $1 },
        .integer("batching.max_batch_size", sizes, "APUS_MAX_BATCH_SIZE", does: "Sequences of one batch") { $0.batching.maxSize = $1 },
        .integer(
            "batching.max_wait_ms", 0...60_000, "APUS_MAX_WAIT_MS",
            does: "The longest that a batch waits for company while that makes more of the devices; never when they are idle"
        ) { $0.batching.maxWait = .milliseconds($1) },
        .integer(
            "batching.target_latency_ms", 1...600_000, "APUS_TARGET_LATENCY_MS",
            does: "The answer time (95th percentile) that the size of batches follows; without it sizes follow none"
        ) { $0.batching.targetLatency = .milliseconds($1) },
        .integer("batching.shares.high", shares, does: "Weight of high-priority work while others wait") { $0.batching.shares.high = $1 },
        .integer("batching.shares.medium", shares, does: "Weight of medium-priority work") { $0.batching.shares.medium = $1 },
        .integer("batching.shares.low", shares, does: "Weight of low-priority work") { $0.batching.shares.low = $1 },
        .integer(
            "batching.high_latency_target_ms", 1...600_000,
            does: "The answer time meant for high-priority work: beside it, batches of low-priority work take at most a quarter of that"
        ) { $0.batching.highLatencyTarget = .milliseconds($1) },
        .number(
            "batching.max_queue_seconds", 0.001...86_400, "APUS_MAX_QUEUE_SECONDS",
            does: "Seconds of estimated work that may wait in one class of priority; more is refused"
        ) { $0.batching.maxQueue = .seconds($1) },
        .integer("gpu.batch.default_size", sizes, effect: .none(whatWaits), does: "Sequences that a batch would be best with") {
            $0.batching.preferredSize = $1
        },
        .integer("gpu.batch.batch_size", sizes, "MAGRAY_BATCH_SIZE", effect: .none(whatWaits), does: "Sequences that a batch would be best with") {
            $0.batching.preferredSize = $1
        },
        .integer("gpu.batch.max_size", sizes, does: "Sequences of one batch") { $0.batching.maxSize = $1 },
        .integer("gpu.batch.max_batch_size", sizes, does: "Sequences of one batch") { $0.batching.maxSize = $1 },
        .integer("gpu.batch.timeout_ms", 0...60_000, "MAGRAY_BATCH_TIMEOUT_MS", does: "As `batching.max_wait_ms`") {
            $0.batching.maxWait = .milliseconds($1)
        },
        .flag(
            "gpu.batch.adaptive_sizing", effect: .needsTargetLatency, does: "Whether the size of batches follows `batching.target_latency_ms`"
        ) { $0.batching.isAdaptive = $1 },
        .flag("gpu.batch.dynamic_batching", does: "Whether a batch may wait for company at all") { $0.batching.isDynamic = $1 },
    ]

    private static let sizes = 1...65_536
    private static let shares = 1...1_000
    private static let whatWaits = "a batch takes what waits, up to its largest size and its tokens"
}
