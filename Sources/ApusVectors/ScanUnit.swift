import CApusKernels

/// Some rows of a segment: what a worker scans before it takes the next.
struct ScanUnit: Sendable {
    let segment: Int
    /// The first row, counted from the segment's; a multiple of 64.
    let first: Int
    let count: Int

    /// Bytes of a unit: long enough that taking one costs nothing, short enough that all workers end together.
    private static let bytes = 1 << 20

    static func units(of vectors: VectorSnapshot) -> [ScanUnit] {
        let stride = Int(apus_vector_stride(vectors.format.storage.kernel, Int64(vectors.format.dimensions)))
        let rows = max(64, bytes / max(1, stride) & ~63)
        var units: [ScanUnit] = []
        for (index, segment) in vectors.segments.enumerated() where segment.liveCount > 0 {
            for first in Swift.stride(from: 0, to: segment.count, by: rows) {
                units.append(ScanUnit(segment: index, first: first, count: min(rows, segment.count - first)))
            }
        }
        return units
    }

    /// Offers the rows that are alive and pass the filter. False when the kernels refuse them.
    func offer(to lists: HitLists, _ queries: PackedQueries, _ filter: RowFilter, _ vectors: VectorSnapshot) -> Bool {
        let segment = vectors.segments[segment]
        let scanned = segment.block.scanned(count: segment.count)
        if case .all = filter, !segment.hasDeletedRows {
            let choice = apus_row_choice(list: nil, first: Int64(first), count: Int64(count))
            return lists.offer(scanned, choice, base: segment.firstRow, queries)
        }
        var chosen = lists.chosen
        lists.chosen = []
        defer { lists.chosen = chosen }
        chosen.removeAll(keepingCapacity: true)
        choose(filter, segment, into: &chosen)
        guard !chosen.isEmpty else { return true }
        return chosen.withUnsafeBufferPointer { buffer in
            let choice = apus_row_choice(list: buffer.baseAddress, first: 0, count: Int64(buffer.count))
            return lists.offer(scanned, choice, base: segment.firstRow, queries)
        }
    }

    private func choose(_ filter: RowFilter, _ segment: VectorSegment, into chosen: inout [Int32]) {
        let base = segment.firstRow
        switch filter {
        case .all:
            chooseWords(segment, into: &chosen) { _ in .max }
        case .excluding(let rows):
            chooseWords(segment, into: &chosen) { ~rows.word(at: base + $0) }
        case .allowing(let rows):
            if let list = rows.list(in: base + first..<base + first + count) {
                for row in list where segment.isLive(row - base) { chosen.append(Int32(truncatingIfNeeded: row - base)) }
            } else {
                chooseWords(segment, into: &chosen) { rows.word(at: base + $0) }
            }
        }
    }

    private func chooseWords(_ segment: VectorSegment, into chosen: inout [Int32], _ allowed: (Int) -> UInt64) {
        for row in stride(from: first, to: first + count, by: 64) {
            var word = segment.liveWord(at: row)
            if word != 0 { word &= allowed(row) }
            while word != 0 {
                chosen.append(Int32(truncatingIfNeeded: row + word.trailingZeroBitCount))
                word &= word - 1
            }
        }
    }
}
