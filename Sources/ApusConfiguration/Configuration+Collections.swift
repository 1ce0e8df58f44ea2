extension Configuration {
    /// How collections are kept.
    package struct Collections: Sendable, Equatable {
        /// The share of deleted and replaced documents at which one in files is compacted by itself; 0 for never.
        package var compactAt = 0.5
        /// How many of them there have to be for that.
        package var compactMinimum = 1_000
        /// The file of PostgreSQL's client library; nil for the system's.
        package var libpq: String?

        package init() {}
    }
}
