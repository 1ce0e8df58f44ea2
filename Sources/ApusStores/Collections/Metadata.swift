package import ApusErrors
package import ApusJSON

/// What is known of a document beside its text: a validated JSON object.
///
/// Values are null, booleans, numbers, strings, arrays of those, and objects of such values, nested up to ``maxDepth`` levels.
package struct Metadata: Sendable {
    package let object: JSONObject
    /// Compact JSON, members in the order given.
    package let encoded: [UInt8]

    /// Encoded bytes.
    package static let maxBytes = 64 << 10
    /// Levels of objects; `{}` has one.
    package static let maxDepth = 8

    package static let empty = Metadata()

    private init() {
        (object, encoded) = (JSONObject(), Array("{}".utf8))
    }

    /// Throws `invalid_value` for arrays with arrays or objects in them and for objects nested too deep, `string_above_max_length` for more
    /// than ``maxBytes``; `place` is that of the object.
    package init(_ object: JSONObject, place: String = "metadata") throws(ApusError) {
        try Self.check(object, depth: 1, place)
        var writer = JSONWriter()
        writer.value(.object(object))
        guard writer.bytes.count <= Self.maxBytes else {
            throw ApusError(
                .stringTooLong, "the metadata have \(writer.bytes.count) bytes as JSON, \(Self.maxBytes) are allowed", place: place)
        }
        (self.object, encoded) = (object, writer.bytes)
    }

    /// Throws `invalid_json` and `invalid_value`, too.
    package init(parsing bytes: [UInt8], place: String = "metadata") throws(ApusError) {
        try self.init(JSONValue(parsing: bytes).objectValue(at: place), place: place)
    }

    /// The value that a filter means by `path`.
    package subscript(path: MetadataPath) -> JSONValue? {
        var object = object
        for name in path.names.dropLast() {
            guard case .object(let inner) = object[name] else { return nil }
            object = inner
        }
        return path.names.last.flatMap { object[$0] }
    }

    private static func check(_ object: JSONObject, depth: Int, _ place: String) throws(ApusError) {
        guard depth <= maxDepth else {
            throw ApusError(.invalidValue, "objects in metadata are nested at most \(maxDepth) deep", place: place)
        }
        for (key, value) in object.entries {
            switch value {
            case .object(let inner): try check(inner, depth: depth + 1, "\(place).\(key)")
            case .array(let elements):
                for (index, element) in elements.enumerated() where MetadataScalar(element) == nil {
                    throw ApusError(
                        .invalidValue, "arrays in metadata hold null, booleans, numbers and strings, not \(element.kind)",
                        place: "\(place).\(key)[\(index)]")
                }
            case .null, .bool, .integer, .number, .string: break
            }
        }
    }
}
