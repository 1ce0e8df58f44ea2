import ApusErrors
import ApusVectors
import Foundation
import GRDB
import NIOConcurrencyHelpers

extension LocalCollection {
    /// Copies what is alive into a file of the next generation while everything goes on, then, on the writer's thread, what came meanwhile;
    /// one transaction makes the new file the one that counts and forgets what is gone. Searches that run keep the old file until they end.
    func compact(_ writer: CollectionWriter) async throws(ApusError) -> CompactionReport {
        guard isCompacting.withLockedValue({ isRunning in
            defer { isRunning = true }
            return !isRunning
        }) else {
            throw ApusError(.storeUnavailable, "the collection is being compacted already", place: folder, advice: "Wait for it to end")
        }
        defer { isCompacting.withLockedValue { $0 = false } }
        let (before, bytesBefore) = (rows, bytes)
        guard before.snapshot.liveCount < before.snapshot.rowCount else {
            return CompactionReport(removed: 0, bytesBefore: bytesBefore, bytesAfter: bytesBefore)
        }
        let copy: CompactedCopy
        do throws(ApusError) {
            copy = try await BlockingCall.runCancellable { isCancelled throws(ApusError) in try CompactedCopy(of: before, self, isCancelled) }
        } catch {
            unlink(Self.vectorPath(folder, before.generation + 1))
            throw error
        }
        let gone: [Int64]
        do throws(ApusError) {
            gone = try await writer.between { () throws(ApusError) in try self.exchange(copy, writer) }
        } catch {
            unlink(copy.rows.file.path)
            throw error
        }
        unlink(before.file.path)
        // Part by part, so that writes need not wait for all of it.
        for start in stride(from: 0, to: gone.count, by: Self.forgottenAtOnce) {
            let part = gone[start..<min(start + Self.forgottenAtOnce, gone.count)]
            try await writer.between { () throws(ApusError) in try self.forget(part) }
        }
        try await writer.between { () throws(ApusError) in try self.shrink() }
        return CompactionReport(removed: gone.count, bytesBefore: bytesBefore, bytesAfter: bytes)
    }

    /// Documents that are forgotten between two groups of writes.
    private static let forgottenAtOnce = 512

    /// On the writer's thread. Returns the numbers of the documents that are gone, of which texts and metadata are still to be forgotten.
    private func exchange(_ copied: CompactedCopy, _ writer: CollectionWriter) throws(ApusError) -> [Int64] {
        var copy = copied
        try copy.catchUp(with: writer.rows)
        try copy.rows.file.flush()
        try Folder.flush(folder)
        let next = writer.next
        let old = writer.rows
        var gone: [Int64] = []
        // From the first to the last number of rows that lie side by side.
        var ranges: [ClosedRange<Int64>] = []
        var (kept, isBehindGone) = (0, false)
        for row in 0..<old.count {
            let number = old.numbers[row]
            // Both ascend.
            if kept < copy.numbers.count, copy.numbers[kept] == number {
                (kept, isBehindGone) = (kept + 1, false)
                continue
            }
            gone.append(number)
            let first = isBehindGone ? ranges.removeLast().lowerBound : number
            ranges.append(first...number)
            isBehindGone = true
        }
        do {
            try database.writeWithoutTransaction { db in
                try db.inTransaction(.immediate) {
                    let delete = try db.cachedStatement(sql: "DELETE FROM rows WHERE seq BETWEEN ? AND ?")
                    for range in ranges { try delete.execute(arguments: [range.lowerBound, range.upperBound]) }
                    try db.execute(
                        sql: "UPDATE collection SET generation = ?, next = ?", arguments: [copy.rows.file.generation, next])
                    return .commit
                }
            }
        } catch {
            throw StoreFailure.error(error, place)
        }
        copy.rows.number(RowNumbers(copy.numbers, next: next))
        // Copied before they were deleted.
        let dead = copy.numbers.indices.filter { row in
            old.numbers.row(of: copy.numbers[row]).map { !old.isLive($0) } ?? true
        }
        copy.rows.delete(dead)
        writer.rows = copy.rows
        writer.publish()
        return gone
    }

    /// Forgets texts and metadata of documents that have no row any more. On the writer's thread.
    private func forget(_ numbers: ArraySlice<Int64>) throws(ApusError) {
        do {
            try database.writeWithoutTransaction { db in
                try db.inTransaction(.immediate) {
                    for number in numbers { try Self.forget(number, db) }
                    return .commit
                }
            }
        } catch {
            throw StoreFailure.error(error, place)
        }
    }

    /// Ends what a compaction that was killed has left: documents without a row.
    static func forgetStrays(in database: DatabasePool, _ place: String) throws(ApusError) {
        do {
            let strays = try database.read { db in
                try Row.fetchAll(db, sql: "SELECT seq FROM documents WHERE seq NOT IN (SELECT seq FROM rows) ORDER BY seq").map { try $0.integer(0) }
            }
            guard !strays.isEmpty else { return }
            try database.writeWithoutTransaction { db in
                try db.inTransaction(.immediate) {
                    for number in strays { try forget(number, db) }
                    return .commit
                }
            }
        } catch {
            throw StoreFailure.error(error, place)
        }
    }

    private static func forget(_ number: Int64, _ db: Database) throws {
        if let row = try Row.fetchOne(db.cachedStatement(sql: "SELECT metadata FROM documents WHERE seq = ?"), arguments: [number]) {
            let delete = try db.cachedStatement(
                sql: """
                    DELETE FROM terms WHERE path = (SELECT number FROM paths WHERE path = ?) AND kind = ? AND value = ? AND seq = ?
                    """)
            for term in MetadataIndex.terms(of: try Metadata(parsing: try row.bytes(0))) {
                try delete.execute(arguments: [Data(term.path), term.kind, term.value, number])
            }
        }
        try db.cachedStatement(sql: "DELETE FROM documents WHERE seq = ?").execute(arguments: [number])
    }

    /// Gives the database's free pages back to the system.
    private func shrink() throws(ApusError) {
        do {
            try database.writeWithoutTransaction { db in
                try db.execute(sql: "PRAGMA incremental_vacuum")
                // Readers may hold the log; the next checkpoint will do.
                _ = try? db.checkpoint(.truncate)
            }
        } catch {
            throw StoreFailure.error(error, place)
        }
    }
}

/// The rows that are alive, in a file of the next generation.
struct CompactedCopy: @unchecked Sendable {
    // Handed from the thread that makes it to the writer's, never shared.
    var rows: GrowingRows
    /// The number of each of its rows.
    private(set) var numbers: [Int64] = []
    /// Rows of the old generation that were looked at.
    private var seen = 0

    private static let batch = 1_024

    /// Throws `store_corrupt` where a vector is not what was written, `store_unavailable`, and `cancelled`.
    init(of published: PublishedRows, _ collection: LocalCollection, _ isCancelled: () -> Bool) throws(ApusError) {
        let generation = published.generation + 1
        let file = try VectorFile(
            creating: LocalCollection.vectorPath(collection.folder, generation), generation: generation, published.file.format)
        rows = try GrowingRows(file, RowNumbers([], next: 1), count: 0)
        let stored: [StoredRow]
        do {
            stored = try collection.database.read { db in try StoredRow.readAll(db) }
        } catch {
            throw StoreFailure.error(error, collection.place)
        }
        try copy(published.snapshot, published.numbers, until: published.snapshot.rowCount) { row, checksum throws(ApusError) in
            guard !isCancelled() else { throw StoreFailure.cancelled }
            guard row < stored.count, stored[row].number == published.numbers[row], stored[row].checksum == checksum else {
                throw StoreFailure.corrupt("row \(row) of the vectors is not what was written", published.file.path)
            }
        }
    }

    /// Takes over what was written since.
    mutating func catchUp(with now: GrowingRows) throws(ApusError) {
        try copy(now.published.snapshot, now.numbers, until: now.count) { _, _ in }
    }

    private mutating func copy(
        _ snapshot: VectorSnapshot, _ from: RowNumbers, until end: Int, _ check: (Int, UInt32) throws(ApusError) -> Void
    ) throws(ApusError) {
        while seen < end {
            let part = (seen..<min(seen + Self.batch, end)).filter { snapshot.isLive($0) }
            seen = min(seen + Self.batch, end)
            guard !part.isEmpty else { continue }
            var values: [Float] = []
            values.reserveCapacity(part.count * snapshot.format.dimensions)
            for row in part { values += snapshot.vector(of: row) ?? [] }
            let checksums = try rows.append(VectorRows(values, dimensions: snapshot.format.dimensions))
            for (row, checksum) in zip(part, checksums) { try check(row, checksum) }
            numbers += part.map { from[$0] }
        }
    }
}
