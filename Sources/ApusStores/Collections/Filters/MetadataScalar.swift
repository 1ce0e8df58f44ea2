package import ApusJSON

/// A value that filters compare: numbers as numbers, whatever their spelling, strings by their UTF-8 bytes, and different kinds never.
package enum MetadataScalar: Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)

    /// nil for arrays and objects.
    package init?(_ value: JSONValue) {
        switch value {
        case .null: self = .null
        case .bool(let flag): self = .bool(flag)
        case .integer(let number): self = .integer(number)
        case .number(let number): self = .number(number)
        case .string(let text): self = .string(text)
        case .array, .object: return nil
        }
    }

    package func equals(_ other: MetadataScalar) -> Bool {
        switch (self, other) {
        case (.null, .null): true
        case (.bool(let left), .bool(let right)): left == right
        default: order(to: other) == .same
        }
    }

    package enum Order: Sendable {
        case before, same, behind
    }

    /// nil where the two are not both numbers or both strings.
    package func order(to other: MetadataScalar) -> Order? {
        switch (self, other) {
        case (.integer(let left), .integer(let right)): Self.order(left, right)
        case (.number(let left), .number(let right)): Self.order(left, right)
        case (.integer(let left), .number(let right)): Self.order(left, right)
        case (.number(let left), .integer(let right)):
            switch Self.order(right, left) {
            case .before: .behind
            case .same: .same
            case .behind: .before
            }
        case (.string(let left), .string(let right)): Self.order(left, right)
        default: nil
        }
    }

    private static func order<Number: Comparable>(_ left: Number, _ right: Number) -> Order {
        left < right ? .before : left == right ? .same : .behind
    }

    /// Exact, where a conversion to Double would round the integer.
    private static func order(_ left: Int64, _ right: Double) -> Order {
        if right >= 0x1p63 { return .before }
        if right < -0x1p63 { return .behind }
        let whole = Int64(right)
        if left != whole { return left < whole ? .before : .behind }
        let rest = right - Double(whole)
        return rest > 0 ? .before : rest < 0 ? .behind : .same
    }

    private static func order(_ left: String, _ right: String) -> Order {
        if left.utf8.elementsEqual(right.utf8) { return .same }
        return left.utf8.lexicographicallyPrecedes(right.utf8) ? .before : .behind
    }
}
