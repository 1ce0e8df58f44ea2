package import ApusErrors
import ApusStores
package import ApusVectors
package import Logging

/// What is remembered of texts that were embedded before, so that they are not computed again.
///
/// An entry belongs to a model, its weights, its precision and how it cuts texts: whatever of these changes, the old entries are not used.
public struct Caching: Sendable, Equatable {
    /// A Redis or Valkey that several programs use.
    private struct Shared: Sendable, Equatable {
        var url: String
        var timeout: Duration
        var expiry: Duration?
        var prefix: String
    }

    private struct Limits: Sendable, Equatable {
        var entries: Int
        var megabytes: Int
    }

    private var limits: Limits?
    private var path: String?
    private var shared: Shared?

    /// Nothing is remembered.
    public static let off = Caching(limits: nil)

    /// In memory: up to so many texts and MiB of vectors, whichever is reached first. What is asked again stays longest.
    public static func memory(entries: Int = 100_000, megabytes: Int = 256) -> Caching {
        Caching(limits: Limits(entries: entries, megabytes: megabytes))
    }

    private init(limits: Limits?) {
        self.limits = limits
    }

    /// The same, and in the file at `path` (SQLite, made when missing), in which it survives a restart. A file that cannot be used costs
    /// what was remembered and nothing else.
    public func kept(in path: String) -> Caching {
        var kept = self
        kept.path = path
        return kept
    }

    /// The same, and in a Redis or Valkey that several programs use. One that is away or slow is done without.
    ///
    /// - Parameters:
    ///   - url: `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`; connections are not encrypted.
    ///   - timeout: the longest that texts wait for it.
    ///   - expiry: how long it keeps an entry; nil for as long as it has room.
    ///   - prefix: what its keys begin with.
    public func shared(
        redis url: String, timeout: Duration = .milliseconds(10), expiry: Duration? = nil, prefix: String = "apus:"
    ) -> Caching {
        var shared = self
        shared.shared = Shared(url: url, timeout: timeout, expiry: expiry, prefix: prefix)
        return shared
    }

    /// Nil for ``off``. Throws `invalid_configuration` for limits and addresses that cannot be meant.
    package func open(_ logger: Logger = Logger(label: "apus.cache")) throws(ApusError) -> EmbeddingCache? {
        guard let limits else { return nil }
        let (bytes, overflow) = limits.megabytes.multipliedReportingOverflow(by: 1 << 20)
        guard !overflow else { throw ApusError(.invalidConfiguration, "\(limits.megabytes) MiB are more than there can be", place: "cache") }
        let checked = try CacheLimits(maxEntries: limits.entries, maxBytes: bytes)
        var redis: RedisCache?
        if let shared {
            redis = RedisCache(
                try RedisSettings(url: shared.url, timeout: shared.timeout, expiry: shared.expiry, prefix: shared.prefix), logger: logger)
        }
        return EmbeddingCache(checked, journal: path.map { CacheFile(path: $0, limits: checked, logger: logger) }, shared: redis)
    }
}
