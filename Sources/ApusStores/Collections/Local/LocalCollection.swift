import ApusErrors
import ApusVectors
import Dispatch
import Foundation
import GRDB
import NIOConcurrencyHelpers

/// One collection in files, opened and found whole.
final class LocalCollection: Sendable {
    let name: CollectionName
    let folder: String
    let record: CollectionRecord
    let database: DatabasePool
    let engine: any VectorSearch
    /// nil where the collection is only read.
    let writer: CollectionWriter?
    private let opened: PublishedRows
    let isCompacting = NIOLockedValueBox(false)

    /// Reads and verifies everything, which takes as long as reading the files does. Throws `store_corrupt` and `store_unavailable`.
    init(
        opening name: CollectionName, folder: String, engine: any VectorSearch, access: VectorBlock.Access
    ) throws(ApusError) {
        let database = try CollectionDatabase.open(in: folder, isReadOnly: access == .readOnly)
        let place = "\(folder)/\(CollectionDatabase.fileName)"
        let record: CollectionRecord
        let (stored, hasStrays): ([StoredRow], Bool)
        do {
            (record, stored, hasStrays) = try database.read { db in
                let stored = try StoredRow.readAll(db)
                let hasStrays = try Self.verifyIDs(stored, db, place)
                return (try CollectionRecord.read(db, place), stored, hasStrays)
            }
        } catch {
            throw StoreFailure.error(error, place)
        }
        // Ascending, so that the first and the last speak for all.
        let said = [record.generation, record.next] + [stored.first?.number, stored.last?.number].compactMap { $0 }
        guard said.allSatisfy({ RowNumbers.possible.contains($0) }) else { throw Row.damaged }
        let next = max(record.next, (stored.last?.number ?? 0) + 1)
        let format = try VectorFormat(dimensions: record.settings.dimensions, storage: record.settings.storage)
        let file = try VectorFile(
            opening: Self.vectorPath(folder, record.generation), generation: record.generation, format, rows: stored.count, access)
        let rows = try GrowingRows(file, RowNumbers(stored.map(\.number), next: next), count: stored.count)
        try Self.verify(stored, in: file)
        rows.delete(stored.indices.filter { stored[$0].isDeleted })
        if access == .readWrite {
            Self.removeOthers(than: file.path, in: folder)
            if hasStrays { try Self.forgetStrays(in: database, place) }
        }
        (self.name, self.folder, self.record, self.database, self.engine, opened) = (name, folder, record, database, engine, rows.published)
        writer = access == .readWrite ? CollectionWriter(database, folder: folder, name: name, rows, next: next) : nil
    }

    var settings: CollectionSettings { record.settings }

    /// What searches see now.
    var rows: PublishedRows { writer?.published ?? opened }

    static func vectorPath(_ folder: String, _ generation: Int64) -> String { "\(folder)/vectors-\(generation).bin" }

    func description() -> CollectionDescription {
        let snapshot = rows.snapshot
        return CollectionDescription(
            name: name, settings: settings, documents: snapshot.liveCount, bytes: bytes, deleted: snapshot.rowCount - snapshot.liveCount,
            createdAt: record.createdAt)
    }

    /// What it takes of the disk.
    var bytes: Int {
        let names = [CollectionDatabase.fileName, "\(CollectionDatabase.fileName)-wal"]
        return rows.file.bytesOnDisk
            + names.reduce(0) { sum, name in
                var status = stat()
                return stat("\(folder)/\(name)", &status) == 0 ? sum + Int(status.st_blocks) * 512 : sum
            }
    }

    /// Answers what was written, then refuses with `reason`, waits for who reads the documents, and moves the log into the database.
    func close(_ reason: ApusError) async {
        await writer?.close(reason)
        let database = database
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                // GRDB ends with its readers, which do not do it. A log that could not be moved is read when the collection is opened again.
                _ = try? database.writeWithoutTransaction { db in try db.checkpoint(.truncate) }
                try? database.close()
                continuation.resume()
            }
        }
    }

    /// Every document that is not deleted is reached by its id, and no other.
    /// Returns whether there are documents without a row, which a compaction that was killed leaves.
    private static func verifyIDs(_ stored: [StoredRow], _ db: Database, _ place: String) throws -> Bool {
        let sql = """
            SELECT (SELECT count(*) FROM ids),
                (SELECT count(*) FROM ids JOIN rows ON rows.seq = ids.seq AND rows.deleted = 0
                    JOIN documents ON documents.seq = ids.seq AND documents.id = ids.id),
                (SELECT count(*) FROM rows JOIN documents USING (seq)), (SELECT count(*) FROM documents)
            """
        guard let counts = try Row.fetchOne(db, sql: sql) else { throw Row.damaged }
        let alive = stored.reduce(0) { $0 + ($1.isDeleted ? 0 : 1) }
        guard try counts.integer(0) == alive, try counts.integer(1) == alive, try counts.integer(2) == stored.count else {
            throw StoreFailure.corrupt("ids and documents do not belong together", place)
        }
        return try counts.integer(3) > stored.count
    }

    private static func verify(_ stored: [StoredRow], in file: VectorFile) throws(ApusError) {
        var damaged = 0
        var first = 0
        for block in file.blocks {
            for row in 0..<max(0, min(block.capacity, stored.count - first)) where !stored[first + row].isDeleted {
                if VectorFile.checksum(of: row, in: block) != stored[first + row].checksum { damaged += 1 }
            }
            first += block.capacity
        }
        guard damaged == 0 else {
            throw StoreFailure.corrupt("\(damaged) of \(stored.count) vectors are not what was written", file.path)
        }
    }

    /// What a compaction that did not end has left.
    private static func removeOthers(than path: String, in folder: String) {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        where name.hasPrefix("vectors-") && name.hasSuffix(".bin") && "\(folder)/\(name)" != path {
            unlink("\(folder)/\(name)")
        }
    }
}
