extension Configuration {
    /// What is remembered of texts that were embedded before.
    package struct Cache: Sendable, Equatable {
        /// nil for on, and off in a server that fails on purpose.
        package var isEnabled: Bool?
        package var entries = 100_000
        package var maxMiB = 256
        /// Whether what was computed for one API key is remembered for that key alone.
        package var isPerKey = true
        /// A file that outlives the server; nil for memory alone.
        package var path: String?
        /// A Redis or Valkey that servers share; nil for none.
        package var redisURL: String?
        /// The longest that a request waits for it.
        package var redisTimeout = Duration.milliseconds(10)
        /// After which it forgets an entry; nil for its own rules alone.
        package var redisExpiry: Duration?
        /// Before every key.
        package var redisPrefix = "apus:"

        package init() {}
    }
}
