extension ConfigurationSchema {
    /// What is remembered of texts that were embedded before.
    static let cache: [ConfigurationKey] = [
        .flag(
            "cache.enabled", "APUS_CACHE",
            does: "Whether vectors of texts that were embedded before are remembered; on, except with `--chaos`, whose faults are counted in runs"
        ) { $0.cache.isEnabled = $1 },
        .integer("cache.entries", 1...1 << 31, "APUS_CACHE_ENTRIES", does: "Texts that are remembered; 100000 without it") { $0.cache.entries = $1 },
        .integer("cache.max_mb", 1...1 << 24, "APUS_CACHE_MAX_MB", does: "MiB of memory for them; 256 without it") { $0.cache.maxMiB = $1 },
        .flag(
            "cache.per_key", "APUS_CACHE_PER_KEY",
            does: "Whether each API key has entries of its own (the default), so that no client learns by a quick answer what another asked for"
        ) { $0.cache.isPerKey = $1 },
        .text(
            "cache.path", "APUS_CACHE_PATH", does: "A file (SQLite) in which they survive a restart; made when missing, for one server alone"
        ) { $0.cache.path = $1 },
        .text(
            "cache.redis.url", "APUS_CACHE_REDIS_URL",
            does: "A Redis or Valkey in which servers share them: `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`, without TLS"
        ) { $0.cache.redisURL = $1 },
        .integer(
            "cache.redis.timeout_ms", 1...1_000, "APUS_CACHE_REDIS_TIMEOUT_MS", does: "The longest that a request waits for it; 10 without it"
        ) { $0.cache.redisTimeout = .milliseconds($1) },
        .integer("cache.redis.ttl_seconds", 1...31_536_000, "APUS_CACHE_REDIS_TTL_SECONDS", does: "How long it keeps an entry; without it as long as it has room") {
            $0.cache.redisExpiry = .seconds($1)
        },
        .text("cache.redis.prefix", "APUS_CACHE_REDIS_PREFIX", does: "What its keys begin with; `apus:` without it") { $0.cache.redisPrefix = $1 },
    ]
}
