package import ApusErrors

/// A set of row numbers: a sorted list while there are few, a bitmap when that is smaller.
package struct RowSet: Sendable {
    private enum Form: Sendable {
        /// Ascending, without repetition.
        case list([Int])
        /// Bit `row % 64` of word `row / 64`.
        case bits([UInt64])
    }

    private let form: Form

    /// Rows in any order; repetitions count once. Throws `invalid_value` for a negative row.
    package init(_ rows: some Sequence<Int>) throws(ApusError) {
        var sorted = Array(rows)
        sorted.sort()
        guard let lowest = sorted.first, let highest = sorted.last else {
            form = .list([])
            return
        }
        guard lowest >= 0 else { throw ApusError(.invalidValue, "there is no row \(lowest)", place: "filter") }
        if highest / 64 < sorted.count {
            var words = [UInt64](repeating: 0, count: highest / 64 + 1)
            for row in sorted { words[row / 64] |= 1 << UInt64(row % 64) }
            form = .bits(words)
        } else {
            var unique: [Int] = []
            unique.reserveCapacity(sorted.count)
            for row in sorted where row != unique.last { unique.append(row) }
            form = .list(unique)
        }
    }

    /// Bit `row % 64` of word `row / 64` says whether `row` belongs to the set.
    package init(bits: [UInt64]) {
        form = .bits(bits)
    }

    /// The rows of `0 ..< count` for which `isMember` is true.
    package init(below count: Int, where isMember: (Int) -> Bool) {
        var words = [UInt64](repeating: 0, count: max(0, count) / 64 + 1)
        for row in 0..<max(0, count) where isMember(row) { words[row / 64] |= 1 << UInt64(row % 64) }
        form = .bits(words)
    }

    /// Rows `row ..< row + 64` as bits.
    func word(at row: Int) -> UInt64 {
        switch form {
        case .bits(let words):
            let (index, shift) = (row / 64, UInt64(row % 64))
            guard index < words.count else { return 0 }
            let low = words[index] >> shift
            return shift == 0 || index + 1 == words.count ? low : low | words[index + 1] << (64 - shift)
        case .list(let rows):
            var word: UInt64 = 0
            var index = Self.firstIndex(notBelow: row, in: rows)
            while index < rows.count, rows[index] - row < 64 {
                word |= 1 << UInt64(rows[index] - row)
                index += 1
            }
            return word
        }
    }

    /// The members in `range`, where they are few enough to be listed; else nil.
    func list(in range: Range<Int>) -> ArraySlice<Int>? {
        guard case .list(let rows) = form else { return nil }
        let first = Self.firstIndex(notBelow: range.lowerBound, in: rows)
        return rows[first..<max(first, Self.firstIndex(notBelow: range.upperBound, in: rows))]
    }

    private static func firstIndex(notBelow row: Int, in rows: [Int]) -> Int {
        var (low, high) = (0, rows.count)
        while low < high {
            let middle = (low + high) / 2
            if rows[middle] < row { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// Which rows a search may find. Row numbers that no vector has match nothing.
package enum RowFilter: Sendable {
    case all
    case allowing(RowSet)
    case excluding(RowSet)
}
