import ApusErrors
import ApusVectors
import Foundation
import GRDB

/// The writes of one group in one transaction of the database. Whatever throws undoes all of them; what is refused changes nothing.
struct WriteTransaction {
    private let db: Database
    private(set) var rows: GrowingRows
    /// The number that the next document gets.
    private(set) var next: Int64
    /// Rows that are gone when the transaction is committed.
    private(set) var deleted: [Int] = []
    private var paths: [[UInt8]: Int64] = [:]

    init(_ db: Database, _ rows: GrowingRows, next: Int64) {
        (self.db, self.rows, self.next) = (db, rows, next)
    }

    /// Answers with `document_exists` when documents are to be added and one is there.
    mutating func write(_ batch: DocumentBatch, _ mode: WriteMode) throws -> Result<WriteReceipt, ApusError> {
        let ids = batch.documents.map { Data($0.id.utf8) }
        var existing: [Int64?] = []
        for (index, id) in ids.enumerated() {
            let number = try number(of: id)
            if number != nil, mode == .add {
                return .failure(
                    ApusError(
                        .documentExists, "there is a document '\(batch.documents[index].id)' already", place: "documents[\(index)].id",
                        advice: "Write with mode upsert to replace it"))
            }
            existing.append(number)
        }
        let checksums = try rows.append(batch.vectors)
        var receipt = WriteReceipt(added: 0, replaced: 0)
        for (index, document) in batch.documents.enumerated() {
            try insert(document, id: ids[index], checksum: checksums[index])
            if let old = existing[index] {
                try mark(old)
                receipt.replaced += 1
            } else {
                receipt.added += 1
            }
        }
        return .success(receipt)
    }

    /// How many documents there were.
    mutating func delete(_ selection: DocumentSelection) throws -> Int {
        var count = 0
        switch selection {
        case .ids(let ids):
            for id in ids {
                guard let number = try number(of: Data(id.utf8)) else { continue }
                try remove(Data(id.utf8), number)
                count += 1
            }
        case .filter(let filter):
            let statement = try db.cachedStatement(
                sql: "SELECT documents.id FROM documents JOIN rows USING (seq) WHERE seq = ? AND deleted = 0")
            for row in try FilterEvaluation(db, rows.numbers, rowCount: rows.count).rows(filter).rows {
                let number = rows.numbers[row]
                guard let id = try Row.fetchOne(statement, arguments: [number])?.bytes(0) else { continue }
                try remove(Data(id), number)
                count += 1
            }
        }
        return count
    }

    private func number(of id: Data) throws -> Int64? {
        try Row.fetchOne(db.cachedStatement(sql: "SELECT seq FROM ids WHERE id = ?"), arguments: [id])?.integer(0)
    }

    private mutating func insert(_ document: Document, id: Data, checksum: UInt32) throws {
        let text = document.text.map { Array($0.utf8) }
        let body = Checksum.document(id: Array(id), text: text, metadata: document.metadata.encoded)
        let number = next
        next += 1
        try execute("INSERT INTO rows (seq, vector, document) VALUES (?, ?, ?)", [number, Int64(checksum), Int64(body)])
        if let text, text.isEmpty {
            // GRDB may bind an empty blob as NULL.
            try execute(
                "INSERT INTO documents (seq, id, metadata, text) VALUES (?, ?, ?, zeroblob(0))", [number, id, Data(document.metadata.encoded)])
        } else {
            try execute(
                "INSERT INTO documents (seq, id, metadata, text) VALUES (?, ?, ?, ?)",
                [number, id, Data(document.metadata.encoded), text.map { Data($0) }])
        }
        try execute("INSERT OR REPLACE INTO ids (id, seq) VALUES (?, ?)", [id, number])
        for term in MetadataIndex.terms(of: document.metadata) {
            try execute(
                "INSERT OR IGNORE INTO terms (path, kind, value, seq) VALUES (?, ?, ?, ?)",
                [try path(term.path), term.kind, term.value, number])
        }
    }

    private mutating func remove(_ id: Data, _ number: Int64) throws {
        try execute("DELETE FROM ids WHERE id = ?", [id])
        try mark(number)
    }

    /// Keeps the document for those who search already, until the next compaction.
    private mutating func mark(_ number: Int64) throws {
        try execute("UPDATE rows SET deleted = 1 WHERE seq = ?", [number])
        guard let row = rows.numbers.row(of: number), row < rows.count else { throw Row.damaged }
        deleted.append(row)
    }

    private mutating func path(_ path: [UInt8]) throws -> Int64 {
        if let known = paths[path] { return known }
        try execute("INSERT OR IGNORE INTO paths (path) VALUES (?)", [Data(path)])
        let number = try Row.fetchOne(db.cachedStatement(sql: "SELECT number FROM paths WHERE path = ?"), arguments: [Data(path)])?.integer(0)
        guard let number else { throw Row.damaged }
        paths[path] = number
        return number
    }

    private func execute(_ sql: String, _ arguments: StatementArguments) throws {
        let statement = try db.cachedStatement(sql: sql)
        try statement.execute(arguments: arguments)
    }
}
