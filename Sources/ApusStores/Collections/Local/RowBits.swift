/// Which of the first `count` rows of a collection are meant.
struct RowBits: Sendable {
    private(set) var words: [UInt64]
    let count: Int

    init(count: Int, all: Bool = false) {
        self.count = count
        words = [UInt64](repeating: all ? .max : 0, count: (count + 63) / 64)
        if all { trim() }
    }

    var members: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

    /// The members, ascending.
    var rows: [Int] {
        var rows: [Int] = []
        for (index, word) in words.enumerated() {
            var word = word
            while word != 0 {
                rows.append(index * 64 + word.trailingZeroBitCount)
                word &= word - 1
            }
        }
        return rows
    }

    func contains(_ row: Int) -> Bool {
        row >= 0 && row < count && words[row / 64] >> UInt64(row % 64) & 1 == 1
    }

    mutating func insert(_ row: Int) {
        if row >= 0, row < count { words[row / 64] |= 1 << UInt64(row % 64) }
    }

    mutating func remove(_ row: Int) {
        if row >= 0, row < count { words[row / 64] &= ~(1 << UInt64(row % 64)) }
    }

    mutating func formIntersection(_ other: RowBits) {
        for index in words.indices { words[index] &= other.words[index] }
    }

    mutating func formUnion(_ other: RowBits) {
        for index in words.indices { words[index] |= other.words[index] }
    }

    func complement() -> RowBits {
        var result = self
        for index in words.indices { result.words[index] = ~words[index] }
        result.trim()
        return result
    }

    private mutating func trim() {
        let rest = count % 64
        if rest > 0, !words.isEmpty { words[words.count - 1] &= (1 << UInt64(rest)) - 1 }
    }
}
