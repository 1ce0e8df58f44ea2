import ApusObservability
import ApusVectors

extension PrometheusRegistry {
    /// Shows at each scrape what is remembered, by level: memory, disk and redis.
    func report(_ cache: EmbeddingCache) {
        beforeScrape { registry in
            let memory = cache.statistics
            let label = ("level", "memory")
            registry.gauge("apus_cache_available", [label]).set(1.0)
            registry.gauge("apus_cache_entries", [label]).set(Double(memory.entries))
            registry.gauge("apus_cache_bytes", [label]).set(Double(memory.bytes))
            registry.counter("apus_cache_writes_total", [label]).set(Double(memory.insertions))
            registry.counter("apus_cache_dropped_writes_total", [label]).set(Double(memory.refusals))
            registry.counter("apus_cache_evictions_total", [label]).set(Double(memory.evictions))
            if let journal = cache.journal { registry.report(journal.statistics, level: "disk") }
            if let shared = cache.shared { registry.report(shared.statistics, level: "redis") }
        }
    }

    private func report(_ statistics: StoreStatistics, level: String) {
        let label = ("level", level)
        gauge("apus_cache_available", [label]).set(statistics.isAvailable ? 1.0 : 0.0)
        if let entries = statistics.entries { gauge("apus_cache_entries", [label]).set(Double(entries)) }
        if let bytes = statistics.bytes { gauge("apus_cache_bytes", [label]).set(Double(bytes)) }
        counter("apus_cache_writes_total", [label]).set(Double(statistics.writes))
        counter("apus_cache_dropped_writes_total", [label]).set(Double(statistics.drops))
        counter("apus_cache_errors_total", [label, ("kind", "failed")]).set(Double(statistics.failures))
        counter("apus_cache_errors_total", [label, ("kind", "corrupt")]).set(Double(statistics.corruptions))
    }
}
