package import ApusErrors

/// What one search may ask for: a validated value.
package struct SearchLimits: Sendable, Hashable {
    package let maxK: Int
    package let maxQueries: Int
    /// Elements of a similarity matrix.
    package let maxMatrixElements: Int

    /// Throws `invalid_configuration` for limits outside 1...100,000 (k), 1...65,536 (queries) and 1...2^30 (elements).
    package init(maxK: Int, maxQueries: Int, maxMatrixElements: Int) throws(ApusError) {
        guard (1...100_000).contains(maxK), (1...65_536).contains(maxQueries), (1...1 << 30).contains(maxMatrixElements) else {
            throw ApusError(
                .invalidConfiguration, "k is limited to 1...100000, queries to 1...65536, matrices to 1...2^30 elements", place: "search")
        }
        self.init(k: maxK, queries: maxQueries, elements: maxMatrixElements)
    }

    private init(k: Int, queries: Int, elements: Int) {
        (maxK, maxQueries, maxMatrixElements) = (k, queries, elements)
    }

    /// k up to 10,000, 2,048 queries, matrices of 64 Mi elements.
    package static let standard = SearchLimits(k: 10_000, queries: 2_048, elements: 1 << 26)
}
