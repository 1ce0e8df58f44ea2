/// A pre-tokenizer of `tokenizer.json`: cuts normalized text into the words that the model sees.
enum PreTokenizer: Sendable {
    case bert
    case byteLevel(addsPrefixSpace: Bool, pattern: Regex?)
    case delimiter(UInt32)
    case digits(individually: Bool)
    case fixedLength(Int)
    case metaspace(Metaspace)
    case punctuation(SplitBehavior)
    case split(TextPattern, SplitBehavior, isInverted: Bool)
    case whitespace
    case whitespaceSplit
    case sequence([PreTokenizer])

    /// GPT-2's pattern, which ByteLevel splits by when the file asks it to.
    static let gpt2Pattern = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

    /// The steps of nested sequences in order.
    var steps: [PreTokenizer] {
        if case .sequence(let members) = self { members.flatMap(\.steps) } else { [self] }
    }

    /// - Parameter spellsBytes: whether ByteLevel also spells bytes by characters; the model may do without.
    func apply(to text: inout PreTokenizedText, spellsBytes: Bool) {
        let tables = UnicodeTables.shared
        switch self {
        case .sequence(let members):
            for member in members { member.apply(to: &text, spellsBytes: spellsBytes) }
        case .bert:
            text.splitRemoving { tables.properties(of: $0).isWhitespace }
            text.splitIsolating { tables.properties(of: $0).isPunctuation }
        case .whitespaceSplit:
            text.splitRemoving { tables.properties(of: $0).isWhitespace }
        case .whitespace:
            Self.splitWords(&text)
        case .delimiter(let delimiter):
            text.splitRemoving { $0 == delimiter }
        case .punctuation(let behavior):
            text.split(behavior) { tables.properties(of: $0).isPunctuation }
        case .digits(let individually):
            if individually {
                text.splitIsolating { tables.properties(of: $0).isNumeric }
            } else {
                text.split(.contiguous) { tables.properties(of: $0).isNumeric }
            }
        case .fixedLength(let length):
            Self.splitEvery(length, &text)
        case .metaspace(let metaspace):
            metaspace.apply(to: &text)
        case .split(let pattern, let behavior, let isInverted):
            Self.split(&text, pattern, behavior, isInverted: isInverted)
        case .byteLevel(let addsPrefixSpace, let pattern):
            if addsPrefixSpace {
                text.rewrite { piece, _, output in
                    if piece.first != 0x20 { output.append(0x20) }
                    output.append(contentsOf: piece)
                }
            }
            if let pattern { Self.split(&text, .regex(pattern), .isolated, isInverted: false) }
            if spellsBytes {
                text.rewrite { piece, _, output in ByteLevelAlphabet.spell(piece, into: &output) }
            }
        }
    }

    private static func split(
        _ text: inout PreTokenizedText, _ pattern: TextPattern, _ behavior: SplitBehavior, isInverted: Bool
    ) {
        text.split { bytes, piece, result in
            if behavior == .isolated {
                // The common case needs no list of parts.
                var end = piece.lowerBound
                pattern.forEachMatch(in: bytes.slice(piece.lowerBound, piece.upperBound)) { low, high in
                    let start = piece.lowerBound + low
                    if start > end { result.append(end..<start) }
                    if high > low { result.append(start..<piece.lowerBound + high) }
                    end = piece.lowerBound + high
                }
                if end < piece.upperBound { result.append(end..<piece.upperBound) }
                return
            }
            var collector = SplitCollector(behavior, from: piece.lowerBound)
            pattern.forEachMatch(in: bytes.slice(piece.lowerBound, piece.upperBound)) { low, high in
                collector.add(delimiter: piece.lowerBound + low..<piece.lowerBound + high, inverted: isInverted)
            }
            collector.finish(at: piece.upperBound, inverted: isInverted, into: &result)
        }
    }

    /// Runs of word characters, and runs of others that are not space.
    private static func splitWords(_ text: inout PreTokenizedText) {
        enum Kind { case space, word, other }
        let tables = UnicodeTables.shared
        text.split { bytes, piece, result in
            var start = piece.lowerBound
            var index = start
            var kind = Kind.space
            while index < piece.upperBound {
                let (scalar, length) = bytes.scalar(at: index)
                let properties = tables.properties(of: scalar)
                let next: Kind = properties.isWordOfTokens ? .word : properties.isSpaceOfTokens ? .space : .other
                if next != kind {
                    if kind != .space { result.append(start..<index) }
                    start = index
                    kind = next
                }
                index += length
            }
            if kind != .space { result.append(start..<index) }
        }
    }

    private static func splitEvery(_ count: Int, _ text: inout PreTokenizedText) {
        text.split { bytes, piece, result in
            var start = piece.lowerBound
            var index = start
            var scalars = 0
            while index < piece.upperBound {
                index += UTF8Length.ofScalar(startingWith: bytes[index])
                scalars += 1
                if scalars == count || index == piece.upperBound {
                    result.append(start..<index)
                    start = index
                    scalars = 0
                }
            }
        }
    }
}
