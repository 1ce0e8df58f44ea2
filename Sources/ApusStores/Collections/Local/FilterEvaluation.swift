import Foundation
import GRDB

/// Finds the rows whose documents pass a filter, in one read of the database.
///
/// Each condition becomes a set of rows from the index; where few rows are left, the rest of a conjunction is asked of their metadata
/// themselves. Rows of deleted documents may be among them.
struct FilterEvaluation {
    private let db: Database
    private let numbers: RowNumbers
    private let rowCount: Int

    /// Few enough that reading their metadata costs less than reading everything that the remaining conditions hold for.
    private var fewRows: Int { min(2_048, rowCount / 16) }

    init(_ db: Database, _ numbers: RowNumbers, rowCount: Int) {
        (self.db, self.numbers, self.rowCount) = (db, numbers, rowCount)
    }

    func rows(_ filter: MetadataFilter) throws -> RowBits {
        switch filter {
        case .and(let filters): return try conjunction(filters)
        case .or(let filters):
            var result = RowBits(count: rowCount)
            for filter in filters { result.formUnion(try rows(filter)) }
            return result
        case .not(let filter): return try rows(filter).complement()
        case .field(let path, let comparison): return try rows(path, comparison)
        }
    }

    private func conjunction(_ filters: [MetadataFilter]) throws -> RowBits {
        var rest = filters.sorted { $0.cost < $1.cost }[...]
        guard let first = rest.popFirst() else { return RowBits(count: rowCount, all: true) }
        var result = try rows(first)
        while let next = rest.first {
            if result.members <= fewRows {
                try ask(.and(Array(rest)), of: &result)
                return result
            }
            result.formIntersection(try rows(next))
            rest = rest.dropFirst()
        }
        return result
    }

    /// Takes away the rows whose metadata do not pass.
    private func ask(_ filter: MetadataFilter, of rows: inout RowBits) throws {
        let statement = try db.cachedStatement(sql: "SELECT metadata FROM documents WHERE seq = ?")
        for row in rows.rows {
            let stored = try Row.fetchOne(statement, arguments: [numbers[row]])
            guard let stored else {
                rows.remove(row)
                continue
            }
            if try !filter.matches(Metadata(parsing: stored.bytes(0))) { rows.remove(row) }
        }
    }

    private func rows(_ path: MetadataPath, _ comparison: MetadataFilter.Comparison) throws -> RowBits {
        switch comparison {
        case .equal(let scalar): return try rows(path, "kind = ? AND value = ?", scalar)
        case .notEqual(let scalar): return try rows(path, "kind = ? AND value = ?", scalar).complement()
        case .greater(let scalar): return try rows(path, "kind = ? AND value > ?", scalar)
        case .greaterOrEqual(let scalar): return try rows(path, "kind = ? AND value >= ?", scalar)
        case .less(let scalar): return try rows(path, "kind = ? AND value < ?", scalar)
        case .lessOrEqual(let scalar): return try rows(path, "kind = ? AND value <= ?", scalar)
        case .anyOf(let scalars): return try union(path, scalars)
        case .noneOf(let scalars): return try union(path, scalars).complement()
        case .exists(let isWanted):
            let there = try rows(path, "kind < ?", [MetadataIndex.Kind.member.databaseValue])
            return isWanted ? there : there.complement()
        case .contains(let scalar):
            let (kind, value) = MetadataIndex.key(scalar)
            return try rows(path, "kind = ? AND value = ?", [(kind.rawValue + MetadataIndex.Kind.member).databaseValue, value])
        }
    }

    private func union(_ path: MetadataPath, _ scalars: [MetadataScalar]) throws -> RowBits {
        var result = RowBits(count: rowCount)
        for scalar in scalars { result.formUnion(try rows(path, "kind = ? AND value = ?", scalar)) }
        return result
    }

    private func rows(_ path: MetadataPath, _ condition: String, _ scalar: MetadataScalar) throws -> RowBits {
        let (kind, value) = MetadataIndex.key(scalar)
        return try rows(path, condition, [kind.rawValue.databaseValue, value])
    }

    private func rows(_ path: MetadataPath, _ condition: String, _ values: [DatabaseValue]) throws -> RowBits {
        var result = RowBits(count: rowCount)
        let number = try Row.fetchOne(
            db.cachedStatement(sql: "SELECT number FROM paths WHERE path = ?"), arguments: [Data(path.description.utf8)])
        guard let number = try number?.integer(0) else { return result }
        let statement = try db.cachedStatement(sql: "SELECT seq FROM terms WHERE path = ? AND \(condition)")
        let entries = try Row.fetchCursor(statement, arguments: StatementArguments([number.databaseValue] + values))
        while let entry = try entries.next() {
            if let row = numbers.row(of: try entry.integer(0)) { result.insert(row) }
        }
        return result
    }
}

extension MetadataFilter {
    /// The order in which the parts of a conjunction are asked: what few rows are likely to pass goes first.
    fileprivate var cost: Int {
        switch self {
        case .field(_, .equal), .field(_, .contains), .field(_, .anyOf): 0
        case .field(_, .greater), .field(_, .greaterOrEqual), .field(_, .less), .field(_, .lessOrEqual), .field(_, .exists(true)): 1
        case .and, .or: 2
        case .field(_, .notEqual), .field(_, .noneOf), .field(_, .exists(false)), .not: 3
        }
    }
}
