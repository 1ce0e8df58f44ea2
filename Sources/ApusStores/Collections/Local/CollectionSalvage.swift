import ApusErrors
import ApusVectors
import Foundation
import GRDB

/// What reads as it was written in the files of a damaged collection, which are left as they are.
///
/// Whatever has a checksum is believed if that holds, and nothing else is: a row's vector, and a document's id, text and metadata. Where the
/// database can be read in parts only, rows are looked for one by one, and a vector by its checksum.
struct CollectionSalvage: @unchecked Sendable {
    // Read on one thread at a time: that which holds it.
    struct Entry {
        let number: Int64
        let vectorChecksum: UInt32
        let documentChecksum: UInt32
    }

    /// A document whose parts are whole or not.
    struct Found {
        var number: Int64
        var id: String?
        var text: String?
        var metadata: Metadata?
        var vector: [Float]?
        /// Whether id, text and metadata are what was written.
        var isWhole: Bool
    }

    let settings: CollectionSettings
    let createdAt: Int
    /// The rows that are not deleted, ascending.
    let entries: [Entry]
    /// Documents that are known by nothing but their id or their number.
    let unreadable: [RepairReport.Loss]
    private let database: DatabaseQueue
    private let place: String
    private let vectors: SalvagedVectors
    private let ids: [Int64: String]

    /// - Parameter work: a folder for a copy of the vectors.
    init(_ folder: String, work: String) throws(ApusError) {
        place = "\(folder)/\(CollectionDatabase.fileName)"
        let (ids, rows): ([Int64: String], (found: [(entry: Entry, isDeleted: Bool)], missing: [Int64]))
        let path: String?
        do {
            var configuration = Configuration()
            configuration.busyMode = .timeout(5)
            database = try DatabaseQueue(path: place, configuration: configuration)
            (settings, createdAt, path, ids, rows) = try database.read { db in
                let generation = try? Row.fetchOne(db, sql: "SELECT generation FROM collection WHERE id = 1")?.integer(0)
                let path = SalvagedVectors.path(in: folder, generation: generation)
                let (settings, createdAt) = try Self.settings(db, path.flatMap { SalvagedVectors.header($0) })
                let ids = Self.ids(db)
                return (settings, createdAt, path, ids, Self.rows(db, ids))
            }
        } catch {
            throw ApusError(
                .storeCorrupt, "the file is damaged where it says what the collection is, so that nothing can be kept", place: place,
                advice: "Restore the collection's folder from a copy, or drop the collection and index its texts again", cause: error)
        }
        // A row that is marked as deleted and that an id leads to was not deleted.
        entries = rows.found.filter { !$0.isDeleted || ids[$0.entry.number] != nil }.map(\.entry)
        unreadable = rows.missing.compactMap { number in ids[number].map { RepairReport.Loss(id: $0, number: number, cause: .document, hasText: false) } }
        vectors = try SalvagedVectors(
            path, work: work, try VectorFormat(dimensions: settings.dimensions, storage: settings.storage),
            numbers: rows.missing.isEmpty ? rows.found.map(\.entry.number) : nil)
        self.ids = ids
    }

    /// Lets go of the database.
    func close() { try? database.close() }

    /// The documents of some entries.
    func read(_ entries: ArraySlice<Entry>) -> [Found] {
        let documents = (try? database.read { db in entries.map { Self.document($0, db) } }) ?? entries.map { Found(number: $0.number, isWhole: false) }
        return zip(entries, documents).map { entry, document in
            var document = document
            document.vector = vectors.vector(entry.number, entry.vectorChecksum)
            // What a damaged document says of its id is not believed.
            if !document.isWhole { document.id = ids[entry.number] }
            return document
        }
    }

    /// Whether the index of metadata has what the documents say and nothing else.
    func isIndexWhole() -> Bool {
        (try? database.read { db in
            var count = 0
            let rows = try Row.fetchCursor(db, sql: "SELECT seq, metadata FROM documents ORDER BY seq")
            let statement = try db.cachedStatement(
                sql: "SELECT 1 FROM terms WHERE path = (SELECT number FROM paths WHERE path = ?) AND kind = ? AND value = ? AND seq = ?")
            while let row = try rows.next() {
                var seen: Set<[UInt8]> = []
                for term in MetadataIndex.terms(of: try Metadata(parsing: row.bytes(1))) {
                    guard try Row.fetchOne(statement, arguments: [Data(term.path), term.kind, term.value, row.integer(0)]) != nil else { return false }
                    if seen.insert(term.path + [UInt8(truncatingIfNeeded: term.kind)] + Array("\(term.value)".utf8)).inserted { count += 1 }
                }
            }
            return try Row.fetchOne(db, sql: "SELECT count(*) FROM terms")?.integer(0) == Int64(count)
        }) ?? false
    }

    private static func settings(_ db: Database, _ header: SalvagedVectors.Header?) throws -> (CollectionSettings, Int) {
        let sql = "SELECT dimensions, metric, storage, model, weights, created FROM collection WHERE id = 1"
        guard let row = try Row.fetchOne(db, sql: sql), let metric = VectorMetric(rawValue: try row.name(1)),
            let storage = try header?.storage ?? VectorStorage(rawValue: row.name(2))
        else { throw Row.damaged }
        let (model, weights) = (try row.optionalBytes(3), try row.optionalBytes(4))
        let settings = try CollectionSettings(
            dimensions: header?.dimensions ?? Int(row.integer(0)), metric: metric, storage: storage,
            model: model.map { String(decoding: $0, as: UTF8.self) }, weights: weights.map { String(decoding: $0, as: UTF8.self) })
        return (settings, Int(try row.integer(5)))
    }

    /// Ids by the numbers of their documents, as far as they can be read.
    private static func ids(_ db: Database) -> [Int64: String] {
        var ids: [Int64: String] = [:]
        _ = try? {
            let rows = try Row.fetchCursor(db, sql: "SELECT id, seq FROM ids")
            while let row = try rows.next() { ids[try row.integer(1)] = String(decoding: try row.bytes(0), as: UTF8.self) }
        }()
        return ids
    }

    /// The rows ascending, and the numbers of those that there should be and that cannot be read.
    private static func rows(_ db: Database, _ ids: [Int64: String]) -> (found: [(entry: Entry, isDeleted: Bool)], missing: [Int64]) {
        var found: [(entry: Entry, isDeleted: Bool)] = []
        func take(_ row: Row) throws {
            let number = try row.integer(0)
            guard RowNumbers.possible.contains(number), number > found.last?.entry.number ?? 0 else { return }
            found.append(
                (
                    Entry(
                        number: number, vectorChecksum: UInt32(truncatingIfNeeded: try row.integer(1)),
                        documentChecksum: UInt32(truncatingIfNeeded: try row.integer(2))), try row.integer(3) != 0
                ))
        }
        let columns = "SELECT seq, vector, document, deleted FROM rows"
        let isRead: Void? = try? {
            let rows = try Row.fetchCursor(db, sql: "\(columns) ORDER BY seq")
            while let row = try rows.next() { try take(row) }
        }()
        guard isRead == nil else { return (found, ids.keys.filter { number in !found.contains(number) }.sorted()) }
        // A page of the table is damaged: what lies on others is reached one by one.
        let last = [ids.keys.max(), last("rows", db), last("documents", db)].compactMap { $0 }.max() ?? 0
        var missing: [Int64] = []
        var number = (found.last?.entry.number ?? 0) + 1
        while number <= last, RowNumbers.possible.contains(number), missing.count < maxMissing {
            let before = found.count
            let isRead: Void? = try? { if let row = try Row.fetchOne(db, sql: "\(columns) WHERE seq = ?", arguments: [number]) { try take(row) } }()
            if isRead == nil || found.count == before { missing.append(number) }
            number += 1
        }
        return (found, missing)
    }

    /// Gaps are looked through one number at a time; more than this are no gap but a number that was damaged.
    private static let maxMissing = 50_000_000

    private static func last(_ table: String, _ db: Database) -> Int64? {
        guard let number = try? Row.fetchOne(db, sql: "SELECT max(seq) FROM \(table)")?.integer(0), number < 1 << 40 else { return nil }
        return number
    }

    private static func document(_ entry: Entry, _ db: Database) -> Found {
        var found = Found(number: entry.number, isWhole: false)
        _ = try? {
            guard let row = try Row.fetchOne(db, sql: "SELECT id, metadata, text FROM documents WHERE seq = ?", arguments: [entry.number]) else { return }
            let (id, metadata, text) = (try row.bytes(0), try row.bytes(1), try row.optionalBytes(2))
            found.id = String(validating: id, as: UTF8.self)
            guard Checksum.document(id: id, text: text, metadata: metadata) == entry.documentChecksum else { return }
            found.metadata = try Metadata(parsing: metadata)
            found.text = text.map { String(decoding: $0, as: UTF8.self) }
            found.isWhole = true
        }()
        return found
    }
}

extension [(entry: CollectionSalvage.Entry, isDeleted: Bool)] {
    /// Ascending by number.
    fileprivate func contains(_ number: Int64) -> Bool {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle].entry.number < number { low = middle + 1 } else { high = middle }
        }
        return low < count && self[low].entry.number == number
    }
}
