/// Why parsing stopped, and at which byte. Small, because it travels through every return of the parser.
struct JSONFailure: Error {
    enum Reason: UInt8 {
        case emptyDocument
        case unexpectedEnd
        case unexpectedByte
        case byteOrderMark
        case trailingBytes
        case trailingComma
        case expectedKey
        case expectedColon
        case expectedCommaOrEnd
        case duplicateKey
        case invalidNumber
        case numberOutOfRange
        case controlCharacter
        case invalidEscape
        case loneSurrogate
        case invalidUTF8
        case tooDeep
        case tooManyValues
    }

    let reason: Reason
    /// The byte where the fault was noticed, from 0.
    let offset: Int
}

extension JSONFailure.Reason {
    func message(_ limits: JSONLimits) -> String {
        switch self {
        case .emptyDocument: "the document is empty"
        case .unexpectedEnd: "the document ends early"
        case .unexpectedByte: "a value was expected here"
        case .byteOrderMark: "the document must be UTF-8 without a byte order mark"
        case .trailingBytes: "there is text after the end of the value"
        case .trailingComma: "a comma must be followed by another member"
        case .expectedKey: "a member name in double quotes was expected here"
        case .expectedColon: "a colon was expected here"
        case .expectedCommaOrEnd: "a comma or the closing bracket was expected here"
        case .duplicateKey: "this member name appears twice in one object"
        case .invalidNumber: "this is not a JSON number"
        case .numberOutOfRange: "this number is beyond the range of a 64-bit float"
        case .controlCharacter: "control characters in strings must be escaped"
        case .invalidEscape: "this escape sequence does not exist"
        case .loneSurrogate: "this \\u escape is half of a surrogate pair"
        case .invalidUTF8: "this string is not valid UTF-8"
        case .tooDeep: "arrays and objects are nested deeper than \(limits.depth) levels"
        case .tooManyValues: "the document holds more than \(limits.values) values"
        }
    }
}
