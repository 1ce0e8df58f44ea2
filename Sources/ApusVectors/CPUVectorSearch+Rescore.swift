import ApusErrors
import CApusKernels
import NIOConcurrencyHelpers

extension CPUVectorSearch {
    /// The `k` best of what a scan found for queries `range`, by scores of the exact rows.
    func rescore(
        _ found: [[Hit]], _ query: VectorQuery, _ range: Range<Int>, k: Int, in vectors: VectorSnapshot
    ) async throws(ApusError) -> [[Hit]] {
        let packed = try range.map { row throws(ApusError) in
            try PackedQueries(query.queries, row..<row + 1, query.metric, for: APUS_VECTORS_FP32)
        }
        let results = NIOLockedValueBox([[Hit]?](repeating: nil, count: found.count))
        let body: @Sendable (Int, Int) -> Void = { _, list in
            let best = Self.best(k, of: found[list], packed[list], in: vectors)
            results.withLockedValue { $0[list] = best }
        }
        let work = found.reduce(0) { $0 + $1.count } * vectors.format.dimensions
        if work <= Self.inlineProducts {
            for list in found.indices { body(0, list) }
        } else {
            try await lanes.run(units: found.count, body)
        }
        return try results.withLockedValue { $0 }.map { hits throws(ApusError) in
            guard let hits else { throw ApusError(.engineFailure, "the kernels refused a part of the vectors") }
            return hits
        }
    }

    private static func best(_ k: Int, of hits: [Hit], _ query: PackedQueries, in vectors: VectorSnapshot) -> [Hit]? {
        let lists = HitLists(k: k, queries: 1)
        var rows = hits.map(\.row)
        rows.sort()
        var next = 0
        while next < rows.count {
            guard let segment = vectors.segment(of: rows[next]), let exact = segment.block.exact(count: segment.count) else { return nil }
            let end = segment.firstRow + segment.count
            lists.chosen.removeAll(keepingCapacity: true)
            while next < rows.count, rows[next] < end {
                lists.chosen.append(Int32(truncatingIfNeeded: rows[next] - segment.firstRow))
                next += 1
            }
            let isTaken = lists.chosen.withUnsafeBufferPointer { chosen in
                let choice = apus_row_choice(list: chosen.baseAddress, first: 0, count: Int64(chosen.count))
                return lists.offer(exact, choice, base: segment.firstRow, query)
            }
            guard isTaken else { return nil }
        }
        return lists.sorted().first
    }
}
