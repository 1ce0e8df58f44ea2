import ApusErrors

/// The vectors of a set as they were at one moment. Searches run over it and see nothing of what is written meanwhile.
package struct VectorSnapshot: Sendable {
    package let format: VectorFormat
    package let segments: [VectorSegment]

    /// Rows, deleted ones included: one more than the highest row number.
    package var rowCount: Int { segments.last.map { $0.firstRow + $0.count } ?? 0 }
    /// Rows that are not deleted.
    package var liveCount: Int { segments.reduce(0) { $0 + $1.liveCount } }

    /// Whether the row exists and is not deleted.
    package func isLive(_ row: Int) -> Bool {
        guard let segment = segment(of: row) else { return false }
        return segment.isLive(row - segment.firstRow)
    }

    /// The vector of a row that is not deleted, as it was given; nil for others, and where only a reduced form of it is kept.
    package func vector(of row: Int) -> [Float]? {
        guard let segment = segment(of: row), segment.isLive(row - segment.firstRow) else { return nil }
        return segment.block.vector(of: row - segment.firstRow)
    }

    func segment(of row: Int) -> VectorSegment? {
        segmentIndex(of: row).map { segments[$0] }
    }

    func segmentIndex(of row: Int) -> Int? {
        guard row >= 0, row < rowCount else { return nil }
        var (low, high) = (0, segments.count - 1)
        while low < high {
            let middle = (low + high + 1) / 2
            if segments[middle].firstRow <= row { low = middle } else { high = middle - 1 }
        }
        return low
    }
}

/// The published part of a block and its place in the set.
package struct VectorSegment: Sendable {
    package let block: VectorBlock
    /// The number of its first row in the set.
    package let firstRow: Int
    package private(set) var count: Int
    package private(set) var liveCount: Int
    /// Bit `row % 64` of word `row / 64`, rows counted from ``firstRow``; nil while no row is deleted.
    private var live: [UInt64]?

    init(_ block: VectorBlock, firstRow: Int, count: Int) {
        (self.block, self.firstRow, self.count) = (block, firstRow, count)
        liveCount = count
    }

    /// Rows `row ..< row + 64` as bits, `row` a multiple of 64; zero beyond the last.
    func liveWord(at row: Int) -> UInt64 {
        let left = count - row
        let existing: UInt64 = left >= 64 ? .max : left > 0 ? (1 << UInt64(left)) - 1 : 0
        guard let live, row / 64 < live.count else { return existing }
        return existing & live[row / 64]
    }

    var hasDeletedRows: Bool { live != nil }

    /// Whether its block takes no more rows.
    var isFull: Bool { count == block.capacity || block.access == .readOnly }

    /// Adds vectors that were found storable and for which there is room.
    mutating func write(_ vectors: VectorRows, _ range: Range<Int>) throws(ApusError) {
        try block.write(vectors, range, at: count)
        count += range.count
        liveCount += range.count
    }

    func isLive(_ row: Int) -> Bool {
        row >= 0 && row < count && liveWord(at: row & ~63) >> UInt64(row & 63) & 1 == 1
    }

    /// False when the row was deleted before.
    mutating func delete(_ row: Int) -> Bool {
        guard isLive(row) else { return false }
        // Rows that come later are alive.
        if live == nil { live = [UInt64](repeating: .max, count: (block.capacity + 63) / 64) }
        live?[row / 64] &= ~(1 << UInt64(row % 64))
        liveCount -= 1
        return true
    }
}
