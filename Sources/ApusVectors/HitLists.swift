import CApusKernels

/// The best hits of several queries so far, as one worker found them.
final class HitLists: @unchecked Sendable {
    // Used by one worker at a time, and by the search when all have ended.
    private var hits: [apus_hit]
    private let k: Int
    /// Rows of a unit that are looked at, kept for the next one.
    var chosen: [Int32] = []

    init(k: Int, queries: Int) {
        self.k = k
        hits = [apus_hit](repeating: apus_hit(), count: k * queries)
        hits.withUnsafeMutableBufferPointer { buffer in
            if let base = buffer.baseAddress { apus_hits_begin(base, Int64(k), Int64(queries)) }
        }
    }

    /// Offers rows; false when the kernels refuse them.
    func offer(_ vectors: apus_vectors, _ choice: apus_row_choice, base: Int, _ queries: PackedQueries) -> Bool {
        hits.withUnsafeMutableBufferPointer { buffer in
            guard let lists = buffer.baseAddress else { return false }
            return withUnsafePointer(to: vectors) {
                apus_scan_top($0, queries.base, choice, Int64(base), Int64(k), lists) == APUS_OK
            }
        }
    }

    func merge(_ other: HitLists) {
        hits.withUnsafeMutableBufferPointer { mine in
            other.hits.withUnsafeBufferPointer { theirs in
                guard let to = mine.baseAddress, let from = theirs.baseAddress else { return }
                for list in 0..<mine.count / k { apus_hits_merge(to + list * k, from + list * k, Int64(k)) }
            }
        }
    }

    /// The hits of each query, the best first. The lists are of no use after.
    func sorted() -> [[Hit]] {
        hits.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return [] }
            return (0..<buffer.count / k).map { list in
                let count = Int(apus_hits_finish(base + list * k, Int64(k)))
                return (0..<count).map { Hit(row: Int(base[list * k + $0].row), score: base[list * k + $0].score) }
            }
        }
    }
}
