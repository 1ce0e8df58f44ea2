package import ApusErrors
import CApusKernels
import Foundation
import NIOConcurrencyHelpers

/// Searches by the CPU's kernels, at the speed of memory for one query and of arithmetic for many.
///
/// Scores are the same to the bit however many threads there are, however the rows are spread over blocks, and whether a query is asked
/// alone or among others.
package final class CPUVectorSearch: VectorSearch {
    package let limits: SearchLimits
    /// Hits of a scan over int8 rows, as a multiple of k, that are scored again in fp32.
    package let oversampling: Int
    let lanes: ScanLanes

    /// - Parameters:
    ///   - threads: all cores that the process may use when nil.
    ///   - oversampling: 1...64.
    /// Throws `invalid_configuration`.
    package init(threads: Int? = nil, limits: SearchLimits = .standard, oversampling: Int = 4) throws(ApusError) {
        let threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
        guard (1...1024).contains(threads), (1...64).contains(oversampling) else {
            throw ApusError(.invalidConfiguration, "a search takes 1 to 1024 threads and an oversampling of 1 to 64", place: "search")
        }
        self.limits = limits
        self.oversampling = oversampling
        lanes = ScanLanes(count: threads)
    }

    package func search(_ query: VectorQuery, in vectors: VectorSnapshot) async throws(ApusError) -> [[Hit]] {
        let queries = query.queries
        guard (1...limits.maxK).contains(query.k) else {
            throw ApusError(.invalidValue, "k is \(query.k) and must be 1 to \(limits.maxK)", place: "k")
        }
        guard queries.count <= limits.maxQueries else {
            throw ApusError(.invalidValue, "\(queries.count) queries are more than \(limits.maxQueries)", place: "queries")
        }
        try queries.expect(dimensions: vectors.format.dimensions, "queries")
        try queries.expectStorable(as: .fp32, "queries")
        guard vectors.liveCount > 0 else { return [[Hit]](repeating: [], count: queries.count) }
        var hits: [[Hit]] = []
        hits.reserveCapacity(queries.count)
        let k = min(query.k, vectors.liveCount)
        let isRescored = vectors.format.keepsExactRows
        // At least 64, since a few places more cost nothing.
        let candidates = isRescored ? min(max(k * oversampling, k + 54), vectors.liveCount) : k
        let together = Self.queriesTogether(k: candidates, workers: lanes.count)
        for start in stride(from: 0, to: queries.count, by: together) {
            guard !Task.isCancelled else { throw ScanLanes.cancelled }
            let range = start..<min(start + together, queries.count)
            let found = try await scan(query, range, k: candidates, in: vectors)
            hits += isRescored ? try await rescore(found, query, range, k: k, in: vectors) : found
        }
        return hits
    }

    /// Queries that are scanned for together: as many as the second-level cache has room for beside the rows, and lists of 64 MiB.
    private static func queriesTogether(k: Int, workers: Int) -> Int {
        max(1, min(128, (64 << 20) / (k * workers * MemoryLayout<apus_hit>.stride)))
    }

    private func scan(
        _ query: VectorQuery, _ range: Range<Int>, k: Int, in vectors: VectorSnapshot
    ) async throws(ApusError) -> [[Hit]] {
        let packed = try PackedQueries(query.queries, range, query.metric, for: vectors.format.storage.kernel)
        let units = ScanUnit.units(of: vectors)
        let work = vectors.liveCount.multipliedReportingOverflow(by: vectors.format.dimensions * range.count)
        let isSmall = !work.overflow && work.partialValue <= Self.inlineProducts
        let lists = (0..<(isSmall ? 1 : min(lanes.count, units.count))).map { _ in HitLists(k: k, queries: range.count) }
        let refused = NIOLockedValueBox(false)
        let body: @Sendable (Int, Int) -> Void = { worker, unit in
            if !units[unit].offer(to: lists[worker], packed, query.filter, vectors) { refused.withLockedValue { $0 = true } }
        }
        if isSmall {
            for unit in units.indices { body(0, unit) }
        } else {
            try await lanes.run(units: units.count, body)
        }
        guard !refused.withLockedValue({ $0 }) else { throw ApusError(.engineFailure, "the kernels refused a part of the vectors") }
        for other in lists.dropFirst() { lists[0].merge(other) }
        return lists[0].sorted()
    }

    /// Multiplications that are done at once on the caller's thread: some 50 microseconds, as long as it takes to wake another.
    static let inlineProducts = 500_000
}
