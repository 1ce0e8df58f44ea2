/// Finds added tokens in a text: leftmost, then longest, none overlapping.
struct AddedTokenMatcher: Sendable {
    private let trie: DoubleArrayTrie
    private let isFirstByte: [Bool]
    private let tokens: [AddedToken]
    private let ids: [Int32]

    /// - Parameter patterns: what to look for, with the token and the id it stands for.
    init(_ patterns: [(pattern: [UInt8], token: AddedToken, id: Int32)]) {
        let patterns = patterns.filter { !$0.pattern.isEmpty }
        trie = DoubleArrayTrie(patterns.enumerated().map { (ArraySlice($1.pattern), Int32($0)) })
        var isFirstByte = [Bool](repeating: false, count: 256)
        for pattern in patterns { isFirstByte[Int(pattern.pattern[0])] = true }
        self.isFirstByte = isFirstByte
        tokens = patterns.map(\.token)
        ids = patterns.map(\.id)
    }

    var isEmpty: Bool { tokens.isEmpty }

    /// Calls `emit` with consecutive ranges that cover the text; the id is nil where no token is.
    func forEachSegment(in text: UTF8Bytes, _ emit: (_ range: Range<Int>, _ id: Int32?) -> Void) {
        var covered = 0
        if !isEmpty {
            trie.withWalker { walker in
                var index = 0
                var spaces = SpaceRun()
                while index < text.count {
                    guard isFirstByte[Int(text[index])] else {
                        index += 1
                        continue
                    }
                    let (length, value) = walker.longestMatch(in: text, from: index)
                    guard length > 0 else {
                        index += 1
                        continue
                    }
                    let match = index..<index + length
                    index = match.upperBound
                    let token = tokens[Int(value)]
                    if token.isSingleWord, !Self.isBetweenWords(match, in: text) { continue }
                    var start = match.lowerBound
                    if token.stripsLeft {
                        start = max(covered, Self.start(ofSpaceBefore: start, in: text, notBefore: covered))
                    }
                    let end = token.stripsRight ? spaces.end(from: match.upperBound, in: text) : match.upperBound
                    if covered < start { emit(covered..<start, nil) }
                    // Nothing is left of a token whose spaces the one before has taken.
                    if start < end { emit(start..<end, ids[Int(value)]) }
                    covered = end
                }
            }
        }
        if covered < text.count { emit(covered..<text.count, nil) }
    }

    private static func isBetweenWords(_ match: Range<Int>, in text: UTF8Bytes) -> Bool {
        let tables = UnicodeTables.shared
        if match.lowerBound > 0 {
            let before = text.scalar(at: text.start(ofScalarBefore: match.lowerBound)).value
            if tables.properties(of: before).isWordOfTokens { return false }
        }
        if match.upperBound < text.count {
            if tables.properties(of: text.scalar(at: match.upperBound).value).isWordOfTokens { return false }
        }
        return true
    }

    private static func start(ofSpaceBefore index: Int, in text: UTF8Bytes, notBefore limit: Int) -> Int {
        let tables = UnicodeTables.shared
        var start = index
        while start > limit {
            let before = text.start(ofScalarBefore: start)
            guard tables.properties(of: text.scalar(at: before).value).isSpaceOfTokens else { break }
            start = before
        }
        return start
    }

    /// The run of white space that was read last, remembered because tokens may themselves be spaces: reading the run
    /// again for each of them would take quadratic time.
    private struct SpaceRun {
        private var known = 0..<0

        mutating func end(from index: Int, in text: UTF8Bytes) -> Int {
            if known.contains(index) { return known.upperBound }
            let tables = UnicodeTables.shared
            var end = index
            while end < text.count {
                let (scalar, length) = text.scalar(at: end)
                guard tables.properties(of: scalar).isSpaceOfTokens else { break }
                end += length
            }
            known = index..<end
            return end
        }
    }
}
