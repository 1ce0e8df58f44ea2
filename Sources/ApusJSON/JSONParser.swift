/// A recursive-descent parser over a byte buffer; its depth is bounded by the limits.
///
/// Every read of the buffer is preceded by a comparison of `position` with `end`.
struct JSONParser {
    let bytes: UnsafeRawBufferPointer
    let end: Int
    var position = 0
    /// Strings with escapes are put together here; kept between strings for its capacity.
    var scratch: [UInt8] = []

    private let limits: JSONLimits
    private var values = 0

    init(_ bytes: UnsafeRawBufferPointer, limits: JSONLimits) {
        self.bytes = bytes
        self.end = bytes.count
        self.limits = limits
    }

    mutating func parseDocument() throws(JSONFailure) -> JSONValue {
        // The first byte of a mark in UTF-8 (EF BB BF) or UTF-16 (FE FF, FF FE); no JSON text starts with any of them.
        if end > 0, bytes[0] == 0xEF || bytes[0] >= 0xFE {
            throw JSONFailure(reason: .byteOrderMark, offset: 0)
        }
        skipWhitespace()
        guard position < end else { throw JSONFailure(reason: .emptyDocument, offset: position) }
        let value = try parseValue(depth: 0)
        skipWhitespace()
        guard position == end else { throw JSONFailure(reason: .trailingBytes, offset: position) }
        return value
    }

    /// Parses the value at `position`, which is not white space.
    private mutating func parseValue(depth: Int) throws(JSONFailure) -> JSONValue {
        guard position < end else { throw JSONFailure(reason: .unexpectedEnd, offset: position) }
        values += 1
        guard values <= limits.values else { throw JSONFailure(reason: .tooManyValues, offset: position) }
        switch bytes[position] {
        case UInt8(ascii: "\""):
            return .string(try parseString())
        case UInt8(ascii: "["):
            return .array(try parseArray(depth: depth + 1))
        case UInt8(ascii: "{"):
            return .object(try parseObject(depth: depth + 1))
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            return try parseNumber()
        case UInt8(ascii: "t"):
            try expectWord("true")
            return .bool(true)
        case UInt8(ascii: "f"):
            try expectWord("false")
            return .bool(false)
        case UInt8(ascii: "n"):
            try expectWord("null")
            return .null
        default:
            throw JSONFailure(reason: .unexpectedByte, offset: position)
        }
    }

    private mutating func parseArray(depth: Int) throws(JSONFailure) -> [JSONValue] {
        guard depth <= limits.depth else { throw JSONFailure(reason: .tooDeep, offset: position) }
        position += 1
        var elements: [JSONValue] = []
        skipWhitespace()
        if take(UInt8(ascii: "]")) { return elements }
        while true {
            elements.append(try parseValue(depth: depth))
            skipWhitespace()
            if take(UInt8(ascii: "]")) { return elements }
            try expectComma(before: UInt8(ascii: "]"))
        }
    }

    private mutating func parseObject(depth: Int) throws(JSONFailure) -> JSONObject {
        guard depth <= limits.depth else { throw JSONFailure(reason: .tooDeep, offset: position) }
        position += 1
        var object = JSONObject()
        skipWhitespace()
        if take(UInt8(ascii: "}")) { return object }
        while true {
            guard position < end else { throw JSONFailure(reason: .unexpectedEnd, offset: position) }
            let start = position
            guard bytes[position] == UInt8(ascii: "\"") else { throw JSONFailure(reason: .expectedKey, offset: start) }
            let key = try parseString()
            skipWhitespace()
            guard position < end else { throw JSONFailure(reason: .unexpectedEnd, offset: position) }
            guard take(UInt8(ascii: ":")) else { throw JSONFailure(reason: .expectedColon, offset: position) }
            skipWhitespace()
            let value = try parseValue(depth: depth)
            guard object.append(key, value) else { throw JSONFailure(reason: .duplicateKey, offset: start) }
            skipWhitespace()
            if take(UInt8(ascii: "}")) { return object }
            try expectComma(before: UInt8(ascii: "}"))
        }
    }

    /// Takes a comma and the white space after it, and refuses `closing` behind them.
    private mutating func expectComma(before closing: UInt8) throws(JSONFailure) {
        guard position < end else { throw JSONFailure(reason: .unexpectedEnd, offset: position) }
        let comma = position
        guard take(UInt8(ascii: ",")) else { throw JSONFailure(reason: .expectedCommaOrEnd, offset: position) }
        skipWhitespace()
        if position < end, bytes[position] == closing { throw JSONFailure(reason: .trailingComma, offset: comma) }
    }

    private mutating func expectWord(_ word: StaticString) throws(JSONFailure) {
        let start = position
        let length = word.utf8CodeUnitCount
        guard length <= end - start else { throw JSONFailure(reason: .unexpectedByte, offset: start) }
        for offset in 0..<length where bytes[start + offset] != word.utf8Start[offset] {
            throw JSONFailure(reason: .unexpectedByte, offset: start)
        }
        position = start + length
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < end, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipWhitespace() {
        while position < end {
            switch bytes[position] {
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): position += 1
            default: return
            }
        }
    }
}
