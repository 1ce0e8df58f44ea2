/// A parsed pattern.
indirect enum RegexSyntaxTree {
    case empty
    case scalar(ScalarSet)
    case sequence([RegexSyntaxTree])
    /// Earlier branches are preferred.
    case alternatives([RegexSyntaxTree])
    case repetition(RegexSyntaxTree, RegexRepetition)
    /// `(?=…)` and `(?!…)`.
    case lookahead(RegexSyntaxTree, isNegative: Bool)
    /// Holds when the scalar before is in the set; `orStart` when there is none.
    case lookbehind(ScalarSet, orStart: Bool)
    /// Holds at the end of the text.
    case endOfText
}

struct RegexRepetition {
    var minimum: Int
    /// Nil when unbounded.
    var maximum: Int?
    var isGreedy: Bool
}

/// Why a pattern is refused, in words that name the construct.
struct RegexFailure: Error {
    let reason: String
}
