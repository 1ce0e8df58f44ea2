import ApusErrors
import ApusJSON

/// A filter as a condition in SQL on the column `d.tags`, so that documents that do not pass need not be read.
///
/// The condition holds for every document that passes, and next to never for another: what SQL cannot say exactly as ``MetadataFilter`` means it
/// (numbers beyond 2^53, which are rounded differently, and texts with NUL) is left open there and settled by looking at the metadata.
/// Values are parameters, never text of the command.
struct FilterCondition {
    /// To follow those of the command.
    private(set) var parameters: [PostgresValue] = []
    private(set) var sql = ""
    private let firstParameter: Int

    /// - Parameter after: how many parameters the command has before these.
    init(_ filter: MetadataFilter, after: Int) {
        firstParameter = after + 1
        let condition = condition(filter, .wider)
        // Documents whose metadata the database cannot read are looked at.
        sql = "(d.tags IS NULL OR \(condition))"
    }

    /// On which side of the filter a condition errs. What is negated errs on the other.
    private enum Bound {
        case wider, narrower

        var opposite: Bound { self == .wider ? .narrower : .wider }
        var unsayable: String { self == .wider ? "true" : "false" }
    }

    private mutating func condition(_ filter: MetadataFilter, _ bound: Bound) -> String {
        switch filter {
        case .and(let filters): return joined(filters, " AND ", ifEmpty: "true", bound)
        case .or(let filters): return joined(filters, " OR ", ifEmpty: "false", bound)
        case .not(let filter): return "NOT \(condition(filter, bound.opposite))"
        case .field(let path, .notEqual(let scalar)): return "NOT \(comparison(path, .equal(scalar)) ?? bound.opposite.unsayable)"
        case .field(let path, .noneOf(let scalars)): return "NOT \(comparison(path, .anyOf(scalars)) ?? bound.opposite.unsayable)"
        case .field(let path, let asked): return comparison(path, asked) ?? bound.unsayable
        }
    }

    private mutating func joined(_ filters: [MetadataFilter], _ word: String, ifEmpty: String, _ bound: Bound) -> String {
        var parts: [String] = []
        for filter in filters { parts.append(condition(filter, bound)) }
        return parts.isEmpty ? ifEmpty : "(\(parts.joined(separator: word)))"
    }

    /// Never null; nil where SQL cannot say it.
    private mutating func comparison(_ path: MetadataPath, _ comparison: MetadataFilter.Comparison) -> String? {
        // No document has what lies deeper or has NUL in its name.
        guard path.names.count <= Metadata.maxDepth, !path.names.contains(where: { $0.utf8.contains(0) }) else {
            return comparison.holds(for: nil) ? "true" : "false"
        }
        switch comparison {
        case .equal(let scalar):
            guard let other = json(scalar) else { return nil }
            return "coalesce(\(value(path)) = \(other), false)"
        case .greater(let scalar): return order(path, ">", scalar)
        case .greaterOrEqual(let scalar): return order(path, ">=", scalar)
        case .less(let scalar): return order(path, "<", scalar)
        case .lessOrEqual(let scalar): return order(path, "<=", scalar)
        case .anyOf(let scalars):
            guard let list = json(scalars) else { return nil }
            return "coalesce(\(value(path)) = ANY (ARRAY(SELECT jsonb_array_elements(\(list)))), false)"
        case .exists(let isWanted): return "(\(value(path)) IS \(isWanted ? "NOT " : "")NULL)"
        case .contains(let scalar):
            guard let list = json([scalar]) else { return nil }
            let field = value(path)
            return "coalesce(jsonb_typeof(\(field)) = 'array' AND \(field) @> \(list), false)"
        case .notEqual, .noneOf: return nil
        }
    }

    private mutating func order(_ path: MetadataPath, _ sign: String, _ scalar: MetadataScalar) -> String? {
        guard Self.isExact(scalar) else { return nil }
        let field = value(path)
        switch scalar {
        case .integer, .number:
            guard let other = encoded([scalar]).map({ parameter(String($0.dropFirst().dropLast())) }) else { return nil }
            // The kind is asked first: a text is no number.
            return "CASE WHEN jsonb_typeof(\(field)) = 'number' THEN (\(field) #>> '{}')::numeric \(sign) \(other)::numeric ELSE false END"
        case .string(let text):
            let other = parameter(text)
            // By bytes, which is what this collation does with UTF-8.
            return "CASE WHEN jsonb_typeof(\(field)) = 'string' THEN ((\(field) #>> '{}') COLLATE \"C\") \(sign) \(other) ELSE false END"
        case .null, .bool: return "false"
        }
    }

    private mutating func value(_ path: MetadataPath) -> String {
        var sql = "d.tags"
        for name in path.names { sql += " -> \(parameter(name))" }
        return "(\(sql))"
    }

    private mutating func json(_ scalar: MetadataScalar) -> String? {
        guard Self.isExact(scalar), let text = encoded([scalar]) else { return nil }
        return "\(parameter(String(text.dropFirst().dropLast())))::jsonb"
    }

    private mutating func json(_ scalars: [MetadataScalar]) -> String? {
        guard scalars.allSatisfy(Self.isExact), let text = encoded(scalars) else { return nil }
        return "\(parameter(text))::jsonb"
    }

    private func encoded(_ scalars: [MetadataScalar]) -> String? {
        var writer = JSONWriter()
        writer.beginArray()
        for scalar in scalars { writer.value(scalar.json) }
        writer.endArray()
        return String(validating: writer.bytes, as: UTF8.self)
    }

    private mutating func parameter(_ text: String) -> String {
        parameters.append(.text(text))
        return "$\(firstParameter + parameters.count - 1)"
    }

    /// Whether the database compares it as Apus does: as decimals, which numbers below 2^53 are compared as exactly.
    private static func isExact(_ scalar: MetadataScalar) -> Bool {
        switch scalar {
        case .null, .bool: true
        case .integer(let number): number.magnitude <= 1 << 53
        case .number(let number): number.magnitude < 0x1p53
        case .string(let text): !text.utf8.contains(0)
        }
    }
}

extension MetadataScalar {
    fileprivate var json: JSONValue {
        switch self {
        case .null: .null
        case .bool(let flag): .bool(flag)
        case .integer(let number): .integer(number)
        case .number(let number): .number(number)
        case .string(let text): .string(text)
        }
    }
}

extension Metadata {
    /// As PostgreSQL's `jsonb` takes it; nil where it does not: it has no NUL
    /// (https://www.postgresql.org/docs/current/datatype-json.html).
    var tags: [UInt8]? {
        let escape = Array("\\u0000".utf8)
        let hasNull = encoded.indices.contains { encoded[$0] == escape[0] && encoded[$0...].starts(with: escape) }
        return hasNull ? nil : encoded
    }
}
