/// What Split and Replace look for.
enum TextPattern: Sendable {
    /// A short literal, found by comparing bytes.
    case literal([UInt8])
    case regex(Regex)

    /// Longer literals go through an automaton, which bounds the time by the text alone.
    private static let literalLimit = 16

    init(literal text: String) throws(RegexFailure) {
        let bytes = Array(text.utf8)
        if bytes.isEmpty || bytes.count > Self.literalLimit {
            self = .regex(try Regex(literal: text))
        } else {
            self = .literal(bytes)
        }
    }

    /// Calls `body` with the byte range of every match, in order.
    func forEachMatch(in text: UTF8Bytes, _ body: (_ start: Int, _ end: Int) -> Void) {
        switch self {
        case .regex(let regex):
            guard !text.isEmpty else { return }
            regex.forEachMatch(in: text, body)
        case .literal(let literal):
            guard let first = literal.first else { return }
            var index = 0
            while index + literal.count <= text.count {
                if text[index] == first, text.slice(index, text.count).starts(withBytes: literal) {
                    body(index, index + literal.count)
                    index += literal.count
                } else {
                    index += 1
                }
            }
        }
    }
}
