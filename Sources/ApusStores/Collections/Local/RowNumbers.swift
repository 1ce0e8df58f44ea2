/// Which document a row of the vector file belongs to. Documents are numbered in the order in which they were written, and rows lie in the
/// order of these numbers; compaction leaves gaps in the numbers, none in the rows.
struct RowNumbers: Sendable {
    /// What numbers and generations can be; a damaged file may say anything.
    static let possible: ClosedRange<Int64> = 1...1 << 60

    /// The numbers of rows `0 ..< leading.count`, ascending.
    private let leading: [Int64]
    /// The number of row `leading.count`; from there on each row's is one more.
    private let first: Int64

    /// - Parameters:
    ///   - numbers: those of the rows there are, ascending.
    ///   - next: that of the next row to come, beyond all of them.
    init(_ numbers: [Int64], next: Int64) {
        var tail = numbers.count
        var expected = next
        while tail > 0, numbers[tail - 1] == expected - 1 {
            tail -= 1
            expected -= 1
        }
        leading = Array(numbers[..<tail])
        first = expected
    }

    subscript(row: Int) -> Int64 {
        row < leading.count ? leading[row] : first + Int64(row - leading.count)
    }

    /// The row of a number; nil for numbers that have none. Rows beyond the last are counted on.
    func row(of number: Int64) -> Int? {
        guard Self.possible.contains(number) else { return nil }
        if number >= first { return leading.count + Int(number - first) }
        var (low, high) = (0, leading.count)
        while low < high {
            let middle = (low + high) / 2
            if leading[middle] < number { low = middle + 1 } else { high = middle }
        }
        return low < leading.count && leading[low] == number ? low : nil
    }
}
