extension JSONParser {
    /// Parses the string whose opening quote is at `position`.
    mutating func parseString() throws(JSONFailure) -> String {
        let quote = position
        position += 1
        let start = position
        skipPlainBytes()
        if position < end, bytes[position] == UInt8(ascii: "\"") {
            let text = makeString(UnsafeRawBufferPointer(rebasing: bytes[start..<position]))
            guard let text else { throw JSONFailure(reason: .invalidUTF8, offset: quote) }
            position += 1
            return text
        }
        return try parseEscapedString(quote: quote, start: start)
    }

    /// Goes on from the first byte of a string that cannot be copied as it is.
    private mutating func parseEscapedString(quote: Int, start: Int) throws(JSONFailure) -> String {
        scratch.removeAll(keepingCapacity: true)
        var run = start
        while position < end {
            scratch.append(contentsOf: bytes[run..<position])
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                guard let text = scratch.withUnsafeBytes({ makeString($0) }) else {
                    throw JSONFailure(reason: .invalidUTF8, offset: quote)
                }
                return text
            case UInt8(ascii: "\\"):
                try parseEscape()
            default:
                throw JSONFailure(reason: .controlCharacter, offset: position)
            }
            run = position
            skipPlainBytes()
        }
        throw JSONFailure(reason: .unexpectedEnd, offset: end)
    }

    /// Appends the character of the escape sequence at `position` to `scratch`.
    private mutating func parseEscape() throws(JSONFailure) {
        let start = position
        guard end - start >= 2 else { throw JSONFailure(reason: .unexpectedEnd, offset: end) }
        position += 2
        switch bytes[start + 1] {
        case UInt8(ascii: "\""): scratch.append(UInt8(ascii: "\""))
        case UInt8(ascii: "\\"): scratch.append(UInt8(ascii: "\\"))
        case UInt8(ascii: "/"): scratch.append(UInt8(ascii: "/"))
        case UInt8(ascii: "b"): scratch.append(0x08)
        case UInt8(ascii: "f"): scratch.append(0x0C)
        case UInt8(ascii: "n"): scratch.append(0x0A)
        case UInt8(ascii: "r"): scratch.append(0x0D)
        case UInt8(ascii: "t"): scratch.append(0x09)
        case UInt8(ascii: "u"):
            let scalar = try parseUnicodeEscape(start: start)
            scratch.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        default:
            throw JSONFailure(reason: .invalidEscape, offset: start)
        }
    }

    /// Reads the four digits at `position`, and the second escape of a surrogate pair if the first asks for one.
    private mutating func parseUnicodeEscape(start: Int) throws(JSONFailure) -> Unicode.Scalar {
        let first = try parseHexDigits(start: start)
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, end - position >= 6,
            bytes[position] == UInt8(ascii: "\\"), bytes[position + 1] == UInt8(ascii: "u")
        else { throw JSONFailure(reason: .loneSurrogate, offset: start) }
        position += 2
        let second = try parseHexDigits(start: position - 2)
        guard (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw JSONFailure(reason: .loneSurrogate, offset: start) }
        return scalar
    }

    private mutating func parseHexDigits(start: Int) throws(JSONFailure) -> UInt32 {
        guard end - position >= 4 else { throw JSONFailure(reason: .unexpectedEnd, offset: end) }
        var value: UInt32 = 0
        for _ in 0..<4 {
            let byte = bytes[position]
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: throw JSONFailure(reason: .invalidEscape, offset: start)
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }

    /// Moves to the next quote, backslash or control character, or to the end.
    private mutating func skipPlainBytes() {
        // Eight bytes at a time; the bit tricks are the classic "has zero byte" and "has byte less than" tests. They may name a later
        // byte than the first, never none, so the exact byte is looked for below.
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        while end - position >= 8 {
            let word = bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self)
            let quotes = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
            let slashes = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
            let hits = ((quotes &- ones) & ~quotes) | ((slashes &- ones) & ~slashes) | ((word &- ones &* 0x20) & ~word)
            if hits & highs != 0 { break }
            position += 8
        }
        while position < end {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte < 0x20 { return }
            position += 1
        }
    }

    private func makeString(_ text: UnsafeRawBufferPointer) -> String? {
        String(validating: text.assumingMemoryBound(to: UInt8.self), as: UTF8.self)
    }
}
