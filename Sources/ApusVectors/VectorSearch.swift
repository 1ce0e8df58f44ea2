package import ApusErrors

/// A vector that was found.
package struct Hit: Sendable, Hashable {
    /// Its row number.
    package let row: Int
    /// How near it is, higher is nearer (``VectorMetric``).
    package let score: Float

    package init(row: Int, score: Float) {
        (self.row, self.score) = (row, score)
    }
}

/// What is looked for.
package struct VectorQuery: Sendable {
    package var queries: VectorRows
    /// Hits wanted for each query, at least 1.
    package var k: Int
    package var metric: VectorMetric
    package var filter: RowFilter

    package init(_ queries: VectorRows, k: Int, metric: VectorMetric = .cosine, filter: RowFilter = .all) {
        (self.queries, self.k, self.metric, self.filter) = (queries, k, metric, filter)
    }
}

/// Finds the nearest vectors, exactly.
///
/// Where it is computed is the implementation's: on the CPU by kernels (``CPUVectorSearch``); on an accelerator by a graph over resident
/// tensors, one for each ``VectorSegment/block``, to which only new rows are uploaded: rows of a block never change.
package protocol VectorSearch: Sendable {
    /// The `k` best rows for each query, the best first; fewer when fewer rows are there and pass the filter. Rows of equal score come in
    /// the order of their numbers.
    ///
    /// Throws `invalid_value` for other dimensions than the set's, a k below 1 or beyond the limit, too many queries and queries that are
    /// not finite or longer than 9e18; `cancelled` when the surrounding task is; `out_of_memory`.
    func search(_ query: VectorQuery, in vectors: VectorSnapshot) async throws(ApusError) -> [[Hit]]

    /// Scores of every vector of `left` with every one of `right`, row-major `[left.count, right.count]`, in fp32.
    ///
    /// Throws `invalid_value` for different dimensions, values that are not finite or longer than 9e18, and a matrix beyond the limit;
    /// `cancelled`; `out_of_memory`.
    func similarity(_ left: VectorRows, _ right: VectorRows, metric: VectorMetric) async throws(ApusError) -> [Float]
}
