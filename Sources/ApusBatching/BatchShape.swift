/// How large a batch is, in the quantities that its cost depends on.
package struct BatchShape: Sendable, Equatable {
    /// Sequences.
    package var count: Int
    /// Tokens of all sequences, without padding.
    package var tokens: Int
    /// Sum of the squares of the lengths: the work of attention.
    package var squares: Double
    /// Tokens added to bring every sequence to the length of the longest; none where sequences are computed one behind the other.
    package var padding: Int

    /// Tokens that are computed, padding included.
    package var computed: Int { tokens.saturatingAdd(padding) }

    package init(count: Int = 0, tokens: Int = 0, squares: Double = 0, padding: Int = 0) {
        self.count = count
        self.tokens = tokens
        self.squares = squares
        self.padding = padding
    }

    /// The shape of sequences of these lengths, padded to the longest unless `isPadded` says that they are not. A length below 0 counts as 0.
    package init(lengths: some Sequence<Int>, isPadded: Bool = true) {
        self.init()
        var longest = 0
        for length in lengths {
            add(length, longest: longest)
            longest = max(longest, length)
        }
        if !isPadded { padding = 0 }
    }

    /// One sequence more, in a batch whose longest is `longest` so far.
    mutating func add(_ length: Int, longest: Int) {
        let length = max(length, 0)
        padding = padding.saturatingAdd(
            length > longest ? (length - longest).saturatingMultiply(count) : longest - length)
        count = count.saturatingAdd(1)
        tokens = tokens.saturatingAdd(length)
        squares += Double(length) * Double(length)
    }
}
