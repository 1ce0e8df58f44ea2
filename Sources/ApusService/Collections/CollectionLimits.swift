package import ApusErrors

/// How much one request may ask of collections, and how many may ask at once.
package struct CollectionLimits: Sendable, Equatable {
    /// Hits for one query.
    package let maxK: Int
    /// Queries of one search.
    package let maxQueries: Int
    /// Hits of one search, of all its queries together.
    package let maxHits: Int
    /// Bytes of texts, metadata and vectors in one answer.
    package let maxAnswerBytes: Int
    /// Searches, and beside them writes, that run at once.
    package let running: Int
    /// Of each as many again that wait for their turn.
    package let waiting: Int

    /// 1,000 hits a query, 256 queries, 10,000 hits, 64 MiB, 4 running and 256 waiting.
    package static let standard = CollectionLimits(
        unchecked: (maxK: 1_000, maxQueries: 256, maxHits: 10_000, maxAnswerBytes: 64 << 20, running: 4, waiting: 256))

    private init(unchecked limits: (maxK: Int, maxQueries: Int, maxHits: Int, maxAnswerBytes: Int, running: Int, waiting: Int)) {
        (maxK, maxQueries, maxHits) = (limits.maxK, limits.maxQueries, limits.maxHits)
        (maxAnswerBytes, running, waiting) = (limits.maxAnswerBytes, limits.running, limits.waiting)
    }

    /// - Throws: `.invalidConfiguration` when a limit is below 1, and for fewer than 0 that wait.
    package init(
        maxK: Int = standard.maxK, maxQueries: Int = standard.maxQueries, maxHits: Int = standard.maxHits,
        maxAnswerBytes: Int = standard.maxAnswerBytes, running: Int = standard.running, waiting: Int = standard.waiting
    ) throws(ApusError) {
        guard min(maxK, maxQueries, maxHits, maxAnswerBytes, running) >= 1, waiting >= 0 else {
            throw ApusError(.invalidConfiguration, "limits of collections are at least 1", place: "limits")
        }
        self.init(
            unchecked: (maxK: maxK, maxQueries: maxQueries, maxHits: maxHits, maxAnswerBytes: maxAnswerBytes, running: running, waiting: waiting))
    }
}
