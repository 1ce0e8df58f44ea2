package import ApusErrors

/// Typed access to the members of one object, with errors that name the member.
///
/// `null` counts as a wrong type where a value is required, and as absent in the `optional…` forms.
package struct JSONReader: Sendable {
    package let object: JSONObject
    /// What stands before a member's name in an error's place: "" for a request, "config.json: " for a file.
    package let place: String
    /// The code of the errors thrown.
    package let code: ApusError.Code

    package init(_ object: JSONObject, place: String = "", code: ApusError.Code = .invalidValue) {
        self.object = object
        self.place = place
        self.code = code
    }

    /// - Throws: `code` when `value` is not an object.
    package init(_ value: JSONValue, place: String = "", code: ApusError.Code = .invalidValue) throws(ApusError) {
        let name = place.isEmpty ? "document" : place
        self.init(try value.objectValue(at: name, code: code), place: place, code: code)
    }

    /// The place of a member, as errors name it.
    package func place(of key: String) -> String { place + key }

    /// The value of `key`; nil when it is absent or null.
    package func optional(_ key: String) -> JSONValue? {
        guard let value = object[key] else { return nil }
        if case .null = value { return nil }
        return value
    }

    /// The value of `key`.
    /// - Throws: `code` when it is absent.
    package func required(_ key: String) throws(ApusError) -> JSONValue {
        guard let value = object[key] else {
            throw ApusError(code, "a required value is missing", place: place(of: key))
        }
        return value
    }

    package func integer(_ key: String) throws(ApusError) -> Int {
        try required(key).integerValue(at: place(of: key), code: code)
    }

    package func optionalInteger(_ key: String) throws(ApusError) -> Int? {
        guard let value = optional(key) else { return nil }
        return try value.integerValue(at: place(of: key), code: code)
    }

    package func number(_ key: String) throws(ApusError) -> Double {
        try required(key).numberValue(at: place(of: key), code: code)
    }

    package func optionalNumber(_ key: String) throws(ApusError) -> Double? {
        guard let value = optional(key) else { return nil }
        return try value.numberValue(at: place(of: key), code: code)
    }

    package func bool(_ key: String) throws(ApusError) -> Bool {
        try required(key).boolValue(at: place(of: key), code: code)
    }

    package func optionalBool(_ key: String) throws(ApusError) -> Bool? {
        guard let value = optional(key) else { return nil }
        return try value.boolValue(at: place(of: key), code: code)
    }

    package func string(_ key: String) throws(ApusError) -> String {
        try required(key).stringValue(at: place(of: key), code: code)
    }

    package func optionalString(_ key: String) throws(ApusError) -> String? {
        guard let value = optional(key) else { return nil }
        return try value.stringValue(at: place(of: key), code: code)
    }

    package func array(_ key: String) throws(ApusError) -> [JSONValue] {
        try required(key).arrayValue(at: place(of: key), code: code)
    }

    package func optionalArray(_ key: String) throws(ApusError) -> [JSONValue]? {
        guard let value = optional(key) else { return nil }
        return try value.arrayValue(at: place(of: key), code: code)
    }

    /// A reader of the object under `key`; its places continue this one's with a dot.
    package func reader(_ key: String) throws(ApusError) -> JSONReader {
        let object = try required(key).objectValue(at: place(of: key), code: code)
        return JSONReader(object, place: place(of: key) + ".", code: code)
    }

    package func optionalReader(_ key: String) throws(ApusError) -> JSONReader? {
        optional(key) == nil ? nil : try reader(key)
    }
}
