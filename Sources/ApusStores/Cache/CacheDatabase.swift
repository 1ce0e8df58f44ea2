import ApusVectors
import Foundation
import GRDB

/// The SQLite file of ``CacheFile``: one table of entries in the order in which they came. Everything here blocks.
///
/// A write-ahead log with `synchronous = NORMAL`: a process that is killed loses nothing that was committed, a power failure the last commits,
/// which a cache may.
struct CacheDatabase: Sendable {
    /// Why a file is not used.
    enum Fault: Error {
        /// It is damaged, or something else: another file in its place would do.
        case notOurs(String)
        /// It cannot be used at the moment, whatever is in it.
        case unusable(String)
    }

    private let queue: DatabaseQueue

    /// `APUC`, by which the file is told from other programs'.
    private static let application: Int32 = 0x4150_5543
    /// Of the table.
    private static let version: Int32 = 1

    /// Opens the file, or makes it, and looks through it. Throws ``Fault``.
    init(path: String) throws {
        var configuration = GRDB.Configuration()
        configuration.label = "apus.cache"
        configuration.busyMode = .timeout(0.5)
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA synchronous = NORMAL")
        }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        var isFolder = ObjCBool(false)
        if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue {
            throw Fault.unusable("it is a folder")
        }
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw Fault.unusable("the folder \(folder) cannot be made")
        }
        do {
            queue = try DatabaseQueue(path: path, configuration: configuration)
            try queue.writeWithoutTransaction { db in try Self.prepare(db) }
        } catch let error as DatabaseError {
            throw Self.fault(error)
        }
    }

    private static func prepare(_ db: Database) throws {
        let application = try Int32.fetchOne(db, sql: "PRAGMA application_id") ?? 0
        let version = try Int32.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        let tables = try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_master") ?? 0
        if tables > 0 {
            guard application == Self.application else { throw Fault.notOurs("it is another program's database") }
            guard version == Self.version else { throw Fault.notOurs("it is of version \(version), and not of \(Self.version)") }
            let check = try String.fetchOne(db, sql: "PRAGMA quick_check(1)") ?? ""
            guard check == "ok" else { throw Fault.notOurs("it is damaged: \(check)") }
        }
        // Whoever may only read it finds out here.
        _ = try String.fetchOne(db, sql: "PRAGMA journal_mode = WAL")
        try db.inTransaction(.immediate) {
            try db.execute(sql: "PRAGMA application_id = \(Self.application)")
            try db.execute(sql: "PRAGMA user_version = \(Self.version)")
            try db.execute(
                sql: "CREATE TABLE IF NOT EXISTS entries (number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, value BLOB NOT NULL)")
            return .commit
        }
    }

    /// Hands every entry to `take`, the oldest first, until it returns false; returns how many were not what they should be, and takes those out. Throws
    /// ``Fault``.
    func read(_ take: (EmbeddingKey, CachedEmbedding) -> Bool) throws -> Int {
        try telling {
            try queue.writeWithoutTransaction { db in
                var damaged: [Int64] = []
                let rows = try Row.fetchCursor(db, sql: "SELECT number, key, value FROM entries ORDER BY number")
                while let row = try rows.next() {
                    let number: Int64 = row[0]
                    let (first, second): (DatabaseValue, DatabaseValue) = (row[1], row[2])
                    guard let keyBytes = Data.fromDatabaseValue(first), let bytes = Data.fromDatabaseValue(second),
                        let key = EmbeddingKey(bytes: keyBytes), let value = CachedEmbedding(encoded: Array(bytes), for: key)
                    else {
                        damaged.append(number)
                        continue
                    }
                    guard take(key, value) else { break }
                }
                for number in damaged { try db.execute(sql: "DELETE FROM entries WHERE number = ?", arguments: [number]) }
                return damaged.count
            }
        }
    }

    /// Writes changes in their order, in one transaction; then takes out the oldest entries above `mostEntries`. Returns the number of entries and the
    /// size of the file. Throws ``Fault``.
    func write(_ changes: [CacheFile.Change], mostEntries: Int) throws -> (entries: Int, bytes: Int) {
        try telling {
            try queue.write { db in
                let insert = try db.cachedStatement(sql: "INSERT OR REPLACE INTO entries (key, value) VALUES (?, ?)")
                let delete = try db.cachedStatement(sql: "DELETE FROM entries WHERE key = ?")
                for change in changes {
                    switch change {
                    case .insert(let key, let value):
                        // What cannot be written is in memory alone.
                        guard let bytes = value.encoded(for: key) else { continue }
                        try insert.execute(arguments: [Data(key.bytes), Data(bytes)])
                    case .remove(let key):
                        try delete.execute(arguments: [Data(key.bytes)])
                    }
                }
                var entries = try Int.fetchOne(db, sql: "SELECT count(*) FROM entries") ?? 0
                if entries > mostEntries {
                    try db.execute(
                        sql: "DELETE FROM entries WHERE number IN (SELECT number FROM entries ORDER BY number LIMIT ?)",
                        arguments: [entries - mostEntries])
                    entries = mostEntries
                }
                let pages = try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0
                let pageSize = try Int.fetchOne(db, sql: "PRAGMA page_size") ?? 0
                return (entries, pages * pageSize)
            }
        }
    }

    func close() { try? queue.close() }

    private func telling<Value>(_ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let error as DatabaseError {
            throw Self.fault(error)
        }
    }

    private static func fault(_ error: DatabaseError) -> Fault {
        let text = error.message ?? "SQLite error \(error.resultCode.rawValue)"
        switch error.resultCode {
        case .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_FORMAT, .SQLITE_SCHEMA, .SQLITE_MISMATCH: return .notOurs(text)
        case .SQLITE_BUSY, .SQLITE_LOCKED: return .unusable("another process has locked it")
        case .SQLITE_FULL: return .unusable("the disk is full")
        case .SQLITE_READONLY, .SQLITE_PERM: return .unusable("it may not be written")
        default: return .unusable(text)
        }
    }
}
