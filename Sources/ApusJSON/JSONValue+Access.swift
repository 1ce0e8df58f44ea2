package import ApusErrors

// The places are autoclosures: a request of thousands of numbers must not spell thousands of names that nobody reads.
extension JSONValue {
    /// An integer, also when it was written with a fraction or exponent that leaves it whole (`1.0`, `1e3`).
    package func integerValue(
        at place: @autoclosure () -> String, code: ApusError.Code = .invalidValue
    ) throws(ApusError) -> Int {
        switch self {
        case .integer(let value):
            if let value = Int(exactly: value) { return value }
        case .number(let value):
            // `Int(exactly:)` calls `trunc` of libm, which nothing here links.
            if value >= -0x1p63, value < 0x1p63, Double(Int(value)) == value { return Int(value) }
            throw ApusError(code, "a whole 64-bit number is wanted, not \(value)", place: place())
        default:
            break
        }
        throw wrongType("a whole number", place(), code)
    }

    package func numberValue(
        at place: @autoclosure () -> String, code: ApusError.Code = .invalidValue
    ) throws(ApusError) -> Double {
        switch self {
        case .integer(let value): return Double(value)
        case .number(let value): return value
        default: throw wrongType("a number", place(), code)
        }
    }

    package func boolValue(
        at place: @autoclosure () -> String, code: ApusError.Code = .invalidValue
    ) throws(ApusError) -> Bool {
        guard case .bool(let value) = self else { throw wrongType("true or false", place(), code) }
        return value
    }

    package func stringValue(
        at place: @autoclosure () -> String, code: ApusError.Code = .invalidValue
    ) throws(ApusError) -> String {
        guard case .string(let value) = self else { throw wrongType("a string", place(), code) }
        return value
    }

    package func arrayValue(
        at place: @autoclosure () -> String, code: ApusError.Code = .invalidValue
    ) throws(ApusError) -> [JSONValue] {
        guard case .array(let value) = self else { throw wrongType("an array", place(), code) }
        return value
    }

    package func objectValue(
        at place: @autoclosure () -> String, code: ApusError.Code = .invalidValue
    ) throws(ApusError) -> JSONObject {
        guard case .object(let value) = self else { throw wrongType("an object", place(), code) }
        return value
    }

    private func wrongType(_ wanted: String, _ place: String, _ code: ApusError.Code) -> ApusError {
        ApusError(code, "\(wanted) is wanted, not \(kind)", place: place)
    }
}
