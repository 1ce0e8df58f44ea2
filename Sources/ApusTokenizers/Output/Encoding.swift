/// The tokens of a text or of a pair of texts.
package struct Encoding: Sendable {
    /// Consecutive tokens of one origin.
    struct Run: Sendable {
        enum Origin: Equatable, Sendable {
            /// Put there by the template of the tokenizer.
            case special
            case first
            case second
        }

        var origin: Origin
        var typeID: Int32
        var count: Int
    }

    package internal(set) var ids: [Int32]
    /// Cover `ids` in order.
    var runs: [Run]
    /// How many tokens the texts had before truncation, special tokens included.
    package internal(set) var originalTokenCount: Int

    init(ids: [Int32], runs: [Run]) {
        self.ids = ids
        self.runs = runs
        originalTokenCount = ids.count
    }

    package var count: Int { ids.count }

    package var isTruncated: Bool { ids.count < originalTokenCount }

    /// For each token the number of the text it belongs to, as the model was trained with.
    package var typeIDs: [Int32] {
        runs.flatMap { repeatElement($0.typeID, count: $0.count) }
    }

    /// For each token whether it was put there by the tokenizer and is not of a text.
    package var specialTokensMask: [Bool] {
        runs.flatMap { repeatElement($0.origin == .special, count: $0.count) }
    }
}

/// Whether a tokenizer puts its special tokens around a text.
package enum SpecialTokens: Sendable {
    case added
    case omitted
}

/// Whether special tokens are part of decoded text.
package enum SpecialTokensInText: Sendable {
    case skipped
    case kept
}
