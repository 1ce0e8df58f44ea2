import Apus
import ApusConfiguration

extension ServeSettings {
    /// What is remembered of texts. A server that fails on purpose remembers nothing unless it is told to: its faults are counted in runs.
    func caching(chaos: Bool) -> Caching {
        let cache = configuration.cache
        guard cache.isEnabled ?? !chaos else { return .off }
        var caching = Caching.memory(entries: cache.entries, megabytes: cache.maxMiB)
        if let path = cache.path { caching = caching.kept(in: path) }
        if let url = cache.redisURL {
            caching = caching.shared(redis: url, timeout: cache.redisTimeout, expiry: cache.redisExpiry, prefix: cache.redisPrefix)
        }
        return caching
    }
}
