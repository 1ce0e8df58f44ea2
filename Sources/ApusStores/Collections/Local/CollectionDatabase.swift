import ApusErrors
import ApusVectors
import Foundation
import GRDB

/// The SQLite file of a collection: what there is of documents beside their vectors, and which rows of which vector file count.
///
/// Texts are stored as blobs of UTF-8, since they may hold NUL, which SQLite's text ends at in GRDB, and are compared by bytes.
enum CollectionDatabase {
    static let fileName = "documents.sqlite"
    /// "Apus" in the header of the file.
    static let applicationID: UInt32 = 0x4170_7573
    static let formatVersion = 1

    /// Documents are numbered (`seq`) in the order in which they were written; the rows of the vector file belong to the rows of `rows` in this
    /// order. What is deleted or replaced stays, marked, until a compaction, so that whoever began to search before finds it. `ids` holds only
    /// what is there; `terms` holds every value of the metadata, so that filters read what matches and not everything.
    private static let schema = """
        CREATE TABLE collection (
            id INTEGER PRIMARY KEY CHECK (id = 1), dimensions INTEGER NOT NULL, metric TEXT NOT NULL, storage TEXT NOT NULL, model BLOB,
            weights BLOB, created INTEGER NOT NULL, generation INTEGER NOT NULL, next INTEGER NOT NULL);
        CREATE TABLE rows (
            seq INTEGER PRIMARY KEY, vector INTEGER NOT NULL, document INTEGER NOT NULL, deleted INTEGER NOT NULL DEFAULT 0);
        CREATE TABLE documents (seq INTEGER PRIMARY KEY, id BLOB NOT NULL, metadata BLOB NOT NULL, text BLOB);
        CREATE TABLE ids (id BLOB PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE paths (number INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE);
        CREATE TABLE terms (path INTEGER NOT NULL, kind INTEGER NOT NULL, value NOT NULL, seq INTEGER NOT NULL,
            PRIMARY KEY (path, kind, value, seq)) WITHOUT ROWID;
        """

    /// Makes the file in `folder`, whole and on the disk when this returns.
    static func create(in folder: String, _ settings: CollectionSettings, createdAt: Int) throws(ApusError) {
        let path = "\(folder)/\(fileName)"
        do {
            var configuration = Configuration()
            configuration.prepareDatabase { db in
                // Before the first page is written, or it says nothing.
                try db.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA synchronous = FULL")
            }
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            try queue.write { db in
                try db.execute(sql: schema)
                try db.execute(
                    sql: "INSERT INTO collection VALUES (1, ?, ?, ?, ?, ?, ?, 1, 1)",
                    arguments: [
                        settings.dimensions, settings.metric.rawValue, settings.storage.rawValue, settings.model.map { Data($0.utf8) },
                        settings.weights.map { Data($0.utf8) }, createdAt,
                    ])
                try db.execute(sql: "PRAGMA application_id = \(applicationID); PRAGMA user_version = \(formatVersion)")
            }
            try queue.close()
        } catch {
            throw StoreFailure.error(error, path)
        }
    }

    /// Opens the file, which is found to be one of Apus and whole.
    static func open(in folder: String, isReadOnly: Bool) throws(ApusError) -> DatabasePool {
        let path = "\(folder)/\(fileName)"
        try checkHeader(path)
        do {
            var configuration = Configuration()
            configuration.readonly = isReadOnly
            configuration.maximumReaderCount = 4
            configuration.busyMode = .timeout(5)
            configuration.prepareDatabase { db in
                try db.execute(sql: "PRAGMA cell_size_check = ON; PRAGMA cache_size = -16384")
            }
            let pool = try DatabasePool(path: path, configuration: configuration)
            let damage: String? = try pool.read { db in try String.fetchOne(db, sql: "PRAGMA quick_check(1)") }
            guard damage == "ok" else {
                throw StoreFailure.corrupt("SQLite finds the file damaged: \(damage ?? "no answer")", path)
            }
            if !isReadOnly {
                // Every commit waits for the disk, which GRDB's NORMAL leaves to the next checkpoint: an answered write survives a power cut.
                try pool.writeWithoutTransaction { db in try db.execute(sql: "PRAGMA synchronous = FULL") }
            }
            return pool
        } catch {
            throw StoreFailure.error(error, path)
        }
    }

    /// SQLite would make a foreign file one in WAL mode before anything could be asked of it
    /// (https://www.sqlite.org/fileformat.html, section 1.3).
    private static func checkHeader(_ path: String) throws(ApusError) {
        let descriptor = Foundation.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            let failure = errno
            guard failure == ENOENT else { throw StoreFailure.system("the file cannot be opened", failure, path) }
            throw StoreFailure.corrupt("the file of the documents is not there", path)
        }
        defer { close(descriptor) }
        var header = [UInt8](repeating: 0, count: 100)
        let count = header.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        guard count == header.count, header.starts(with: Array("SQLite format 3\0".utf8)) else {
            throw StoreFailure.corrupt("this is no SQLite file", path)
        }
        func word(_ offset: Int) -> UInt32 { header[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) } }
        guard word(68) == applicationID else { throw StoreFailure.corrupt("this is a SQLite file of another program", path) }
        guard word(60) == UInt32(formatVersion) else {
            throw ApusError(
                .storeUnavailable, "the collection has format \(word(60)), this version of Apus reads format \(formatVersion)", place: path,
                advice: "Use the version of Apus that wrote it")
        }
    }
}
