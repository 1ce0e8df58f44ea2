import ApusErrors
import Foundation
import GRDB

/// Reads documents in one read of the database.
struct DocumentReader {
    private let db: Database

    init(_ db: Database) {
        self.db = db
    }

    /// The numbers of documents; nil for ids that there are not.
    func numbers(of ids: [String]) throws(ApusError) -> [Int64?] {
        try checked {
            let statement = try db.cachedStatement(sql: "SELECT seq FROM ids WHERE id = ?")
            return try ids.map { try Row.fetchOne(statement, arguments: [Data($0.utf8)])?.integer(0) }
        }
    }

    /// Documents by their numbers, deleted ones included; those that were compacted away are left out. Throws `store_corrupt` for one that is
    /// not what was written.
    func documents(_ numbers: Set<Int64>, _ parts: DocumentParts) throws(ApusError) -> [Int64: StoredDocument] {
        try checked {
            let statement = try db.cachedStatement(
                sql: "SELECT documents.id, metadata, text, document FROM documents JOIN rows USING (seq) WHERE seq = ?")
            var documents: [Int64: StoredDocument] = [:]
            documents.reserveCapacity(numbers.count)
            for number in numbers {
                guard let row = try Row.fetchOne(statement, arguments: [number]) else { continue }
                let (id, metadata, text) = (try row.bytes(0), try row.bytes(1), try row.optionalBytes(2))
                guard Checksum.document(id: id, text: text, metadata: metadata) == UInt32(truncatingIfNeeded: try row.integer(3)) else {
                    throw StoreFailure.corrupt("document \(number) is not what was written", CollectionDatabase.fileName)
                }
                documents[number] = StoredDocument(
                    id: String(decoding: id, as: UTF8.self), text: parts.contains(.text) ? text.map { String(decoding: $0, as: UTF8.self) } : nil,
                    metadata: parts.contains(.metadata) ? try Metadata(parsing: metadata) : nil)
            }
            return documents
        }
    }

    /// The rows whose documents pass; nil where the rows are of another generation than the database's.
    func rows(
        _ filter: MetadataFilter, generation: Int64, _ numbers: RowNumbers, rowCount: Int, place: String
    ) throws(ApusError) -> RowBits? {
        try checked {
            guard try CollectionRecord.read(db, place).generation == generation else { return nil }
            return try FilterEvaluation(db, numbers, rowCount: rowCount).rows(filter)
        }
    }

    /// The numbers of the documents of a page and of one more; nil as ``rows(_:generation:_:rowCount:place:)``.
    func page(
        _ listing: DocumentListing, generation: Int64, _ numbers: RowNumbers, place: String
    ) throws(ApusError) -> [Int64]? {
        var passing: RowBits?
        if let filter = listing.filter {
            // Rows as the database has them now, which may be more than searches see.
            let count = try checked {
                let last = try Row.fetchOne(db, sql: "SELECT coalesce(max(seq), 0) FROM rows")?.integer(0) ?? 0
                return numbers.row(of: last).map { $0 + 1 } ?? 0
            }
            guard let bits = try rows(filter, generation: generation, numbers, rowCount: count, place: place) else { return nil }
            passing = bits
        }
        return try checked {
            // An empty blob would be bound as NULL, behind which nothing is.
            let entries =
                if let after = listing.after, !after.isEmpty {
                    try Row.fetchCursor(
                        db.cachedStatement(sql: "SELECT seq FROM ids WHERE id > ? ORDER BY id"), arguments: [Data(after.utf8)])
                } else {
                    try Row.fetchCursor(db.cachedStatement(sql: "SELECT seq FROM ids ORDER BY id"))
                }
            var page: [Int64] = []
            while page.count <= listing.limit, let entry = try entries.next() {
                let number = try entry.integer(0)
                if let passing, numbers.row(of: number).map({ passing.contains($0) }) != true { continue }
                page.append(number)
            }
            return page
        }
    }

    private func checked<Value>(_ body: () throws -> Value) throws(ApusError) -> Value {
        do {
            return try body()
        } catch {
            throw StoreFailure.error(error, CollectionDatabase.fileName)
        }
    }
}
