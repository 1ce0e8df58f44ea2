/// What is remembered of texts that were embedded before, by level: `memory`; `disk`, the file in which it survives a restart; `redis`, which
/// servers share. Hits and misses are emitted by ApusEmbeddings, the others are read at each scrape.
extension MetricCatalog {
    static let cache: [MetricDescriptor] = [
        .init("apus_cache_hits_total", .counter, by: ["model", "level"], "Inputs whose vectors were remembered, by model and level (memory, redis)."),
        .init(
            "apus_cache_misses_total", .counter, by: ["model", "level"],
            "Inputs that were looked for and not remembered, by model and level; those that memory misses are looked for in redis, where one is used."
        ),
        .init("apus_cache_entries", .gauge, by: ["level"], "Vectors that are remembered, by level (memory, disk)."),
        .init("apus_cache_bytes", .gauge, by: ["level"], "Bytes that they take, by level (memory, disk)."),
        .init("apus_cache_writes_total", .counter, by: ["level"], "Vectors that were put there, by level (memory, disk, redis)."),
        .init(
            "apus_cache_dropped_writes_total", .counter, by: ["level"],
            "Vectors that were not put there, by level: too large for memory, or the disk or redis was away or too slow."),
        .init("apus_cache_evictions_total", .counter, by: ["level"], "Vectors that made room for others, by level (memory)."),
        .init(
            "apus_cache_errors_total", .counter, by: ["level", "kind"],
            "Troubles with the levels behind memory, by level (disk, redis) and kind: failed (a call that failed or took too long), corrupt (an entry or file that was not what it should be)."
        ),
        .init("apus_cache_available", .gauge, by: ["level"], "1 while a level of the cache is used, 0 while it is done without, by level."),
    ]
}
