/// A token that is found in the text before the model sees it.
struct AddedToken: Equatable, Sendable {
    var content: [UInt8]
    /// Matches only between characters that are not of a word.
    var isSingleWord: Bool
    /// Takes the white space before it.
    var stripsLeft: Bool
    /// Takes the white space after it.
    var stripsRight: Bool
    /// Is looked for in normalized text, in its own normalized form.
    var isNormalized: Bool
    /// Is left out when decoding without special tokens.
    var isSpecial: Bool
}
