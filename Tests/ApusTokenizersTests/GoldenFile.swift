import ApusErrors
import ApusJSON
import ApusTokenizers
import Foundation
import Testing

/// The files that scripts/make_tokenizer_goldens.py wrote.
enum GoldenFile {
    static func bytes(_ name: String) throws -> [UInt8] {
        // Not `resourceURL`: where a bundle holds a folder of this very name, that is already the folder.
        let folder = Bundle.module.bundleURL.appendingPathComponent("Resources")
        return try [UInt8](Data(contentsOf: folder.appendingPathComponent(name)))
    }

    static func json(_ name: String) throws -> JSONValue {
        try JSONValue(parsing: bytes(name))
    }

    static func tokenizer(_ name: String) throws -> Tokenizer {
        try Tokenizer(json: bytes(name), name: name)
    }

    /// FNV-1a, 64 bits, over the ids as little-endian 32-bit words, as the script writes it.
    static func fingerprint(_ ids: [Int32]) -> String {
        var value: UInt64 = 0xCBF2_9CE4_8422_2325
        for id in ids {
            for shift in stride(from: 0, to: 32, by: 8) {
                value = (value ^ UInt64(UInt32(bitPattern: id) >> UInt32(shift) & 255)) &* 0x0000_0100_0000_01B3
            }
        }
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension JSONValue {
    subscript(key: String) -> JSONValue {
        get throws { try #require(try objectValue(at: key)[key]) }
    }

    var array: [JSONValue] { get throws { try arrayValue(at: "array") } }
    var string: String { get throws { try stringValue(at: "string") } }
    var strings: [String] { get throws { try array.map { try $0.string } } }
    var int32s: [Int32] { get throws { try array.map { Int32(try $0.integerValue(at: "id")) } } }

    /// The value with another one at `key`, added when there was none.
    func setting(_ key: String, _ value: JSONValue) throws -> JSONValue {
        var object = JSONObject()
        var isFound = false
        for entry in try objectValue(at: key).entries {
            let isKey = entry.key == key
            isFound = isFound || isKey
            _ = object.append(entry.key, isKey ? value : entry.value)
        }
        if !isFound { _ = object.append(key, value) }
        return .object(object)
    }

    func removing(_ key: String) throws -> JSONValue {
        var object = JSONObject()
        for entry in try objectValue(at: key).entries where entry.key != key {
            _ = object.append(entry.key, entry.value)
        }
        return .object(object)
    }

    /// Compact JSON.
    var text: String {
        switch self {
        case .null: return "null"
        case .bool(let value): return value ? "true" : "false"
        case .integer(let value): return String(value)
        case .number(let value): return value.description
        case .string(let value): return Self.quoted(value)
        case .array(let values): return "[" + values.map(\.text).joined(separator: ",") + "]"
        case .object(let object):
            return "{" + object.entries.map { Self.quoted($0.key) + ":" + $0.value.text }.joined(separator: ",") + "}"
        }
    }

    private static func quoted(_ text: String) -> String {
        var output = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": output += "\\\""
            case "\\": output += "\\\\"
            case "\u{0}"..."\u{1F}":
                let digits = String(scalar.value, radix: 16)
                output += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: output.unicodeScalars.append(scalar)
            }
        }
        return output + "\""
    }
}
