/// One JSON value, parsed strictly by RFC 8259.
///
/// Apus has a parser of its own because Foundation's accepts trailing commas, duplicate keys, byte order marks and
/// UTF-16, and turns integers above 2^53 into something else.
package enum JSONValue: Sendable {
    case null
    case bool(Bool)
    /// A literal without fraction and exponent that fits `Int64`.
    case integer(Int64)
    /// Any other number; always finite.
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)
}

extension JSONValue {
    /// What the value is, in the words of an error message.
    package var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .integer, .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}
