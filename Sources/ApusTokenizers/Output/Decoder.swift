/// A decoder of `tokenizer.json`: turns tokens back into text.
enum Decoder: Sendable {
    case bpe(suffix: [UInt8])
    case byteFallback
    case byteLevel
    case ctc(padding: [UInt8], wordDelimiter: [UInt8], cleansUp: Bool)
    case fuse
    case metaspace(replacement: UInt32, dropsFirst: Bool)
    case replace(TextPattern, content: [UInt8])
    case strip(content: UInt32, start: Int, stop: Int)
    case wordPiece(prefix: [UInt8], cleansUp: Bool)
    case sequence([Decoder])

    private static let replacementCharacter: [UInt8] = [0xEF, 0xBF, 0xBD]

    /// The parts of the text that the tokens make; joined they are the text.
    func decode(_ tokens: [[UInt8]]) -> [[UInt8]] {
        switch self {
        case .sequence(let members):
            return members.reduce(tokens) { $1.decode($0) }
        case .bpe(let suffix):
            return tokens.enumerated().map { index, token in
                token.replacing(suffix, with: index == tokens.count - 1 ? [] : [0x20])
            }
        case .byteFallback:
            return Self.joinBytes(tokens)
        case .byteLevel:
            let bytes = tokens.flatMap { ByteLevelAlphabet.bytes(spelledBy: $0[...]) ?? $0 }
            return [Array(String(decoding: bytes, as: UTF8.self).utf8)]
        case .ctc(let padding, let wordDelimiter, let cleansUp):
            return Self.decodeCTC(tokens, padding, wordDelimiter, cleansUp)
        case .fuse:
            return [Array(tokens.joined())]
        case .metaspace(let replacement, let dropsFirst):
            var mark: [UInt8] = []
            mark.append(scalar: replacement)
            return tokens.enumerated().map { index, token in
                token.replacing(mark, with: index == 0 && dropsFirst ? [] : [0x20])
            }
        case .replace(let pattern, let content):
            return tokens.map { Self.replace($0, pattern, content) }
        case .strip(let content, let start, let stop):
            return tokens.map { Self.strip($0, content, start, stop) }
        case .wordPiece(let prefix, let cleansUp):
            return tokens.enumerated().map { index, token in
                var text = token
                if index > 0 {
                    text = token.starts(with: prefix) ? Array(token.dropFirst(prefix.count)) : [0x20] + token
                }
                return cleansUp ? Self.cleanUp(text) : text
            }
        }
    }

    /// Joins runs of byte tokens to characters; bytes that make none become a replacement character each.
    private static func joinBytes(_ tokens: [[UInt8]]) -> [[UInt8]] {
        var result: [[UInt8]] = []
        var pending: [UInt8] = []
        func flush() {
            guard !pending.isEmpty else { return }
            if String(validating: pending, as: UTF8.self) != nil {
                result.append(pending)
            } else {
                result += repeatElement(replacementCharacter, count: pending.count)
            }
            pending = []
        }
        for token in tokens {
            if let byte = ByteTokens.byte(of: token) {
                pending.append(byte)
            } else {
                flush()
                result.append(token)
            }
        }
        flush()
        return result
    }

    private static func decodeCTC(
        _ tokens: [[UInt8]], _ padding: [UInt8], _ wordDelimiter: [UInt8], _ cleansUp: Bool
    ) -> [[UInt8]] {
        var result: [[UInt8]] = []
        var previous: [UInt8]?
        for token in tokens where token != previous {
            previous = token
            var text = token.replacing(padding, with: [])
            if cleansUp { text = cleanUp(text).replacing(wordDelimiter, with: [0x20]) }
            if !text.isEmpty { result.append(text) }
        }
        return result
    }

    private static func replace(_ token: [UInt8], _ pattern: TextPattern, _ content: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        var copied = 0
        token.withUnsafeBufferPointer { bytes in
            pattern.forEachMatch(in: bytes) { start, end in
                output.append(contentsOf: bytes[copied..<start])
                output.append(contentsOf: content)
                copied = end
            }
            output.append(contentsOf: bytes[copied...])
        }
        return output
    }

    /// Takes away up to `start` leading and up to `stop` trailing characters that are `content`.
    private static func strip(_ token: [UInt8], _ content: UInt32, _ start: Int, _ stop: Int) -> [UInt8] {
        var mark: [UInt8] = []
        mark.append(scalar: content)
        var low = 0
        var high = token.count
        var taken = 0
        while taken < start, token[low..<high].starts(with: mark) {
            low += mark.count
            taken += 1
        }
        taken = 0
        while taken < stop, high - mark.count >= low, token[(high - mark.count)..<high].elementsEqual(mark) {
            high -= mark.count
            taken += 1
        }
        return Array(token[low..<high])
    }

    /// The same replacements in the same order as `tokenizers` makes.
    private static func cleanUp(_ text: [UInt8]) -> [UInt8] {
        let replacements: [(String, String)] = [
            (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
            (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
        ]
        guard text.contains(0x20) else { return text }
        return replacements.reduce(text) { $0.replacing(Array($1.0.utf8), with: Array($1.1.utf8)) }
    }
}

extension [UInt8] {
    /// Replaces every occurrence of `pattern`, from the left. An empty pattern stands before every character and at
    /// the end, as in Rust.
    fileprivate func replacing(_ pattern: [UInt8], with content: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(count)
        var index = 0
        while index < count {
            if pattern.isEmpty {
                output += content
                let length = UTF8Length.ofScalar(startingWith: self[index])
                output += self[index..<Swift.min(index + length, count)]
                index += length
            } else if self[index...].starts(with: pattern) {
                output += content
                index += pattern.count
            } else {
                output.append(self[index])
                index += 1
            }
        }
        if pattern.isEmpty { output += content }
        return output
    }
}
