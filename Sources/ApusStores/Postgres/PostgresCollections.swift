package import ApusErrors
import ApusVectors
import Foundation
import NIOConcurrencyHelpers

/// Collections in a PostgreSQL that several servers share.
///
/// Where the database has pgvector, a collection that is made in it has a table of its own with a column `vector(N)`, and searches are sent to the
/// database, exact ones without an index; what comes back is scored again by Apus' kernels, so that scores are those of ``LocalCollections`` to the
/// bit. Of documents whose scores are apart by no more than the rounding of 32-bit floats the database may take another than files would into the
/// last places. Where it has none, and for collections that were made before it had, the vectors are byte strings, read whole and scanned here: any
/// PostgreSQL from version 10 on will do, and a search takes as long as reading the vectors takes. Which of the two a collection is its description says.
///
/// Vectors are kept as fp32 whatever the storage of the collection says. Filters are conditions in SQL (``FilterCondition``).
///
/// A server that is away, slow or full: `store_unavailable`, and nothing else happens. What a call was answered for is as durable as the database
/// makes a commit.
package final class PostgresCollections: CollectionStore {
    let pool: PostgresPool
    let engine: CPUVectorSearch
    private let observer: CollectionObserver?
    private let database = NIOLockedValueBox<PostgresDatabase?>(nil)

    /// Nothing is connected before the first call. Throws `invalid_configuration`.
    package init(_ settings: PostgresSettings, threads: Int? = nil, observer: CollectionObserver? = nil) throws(ApusError) {
        pool = PostgresPool(settings)
        engine = try CPUVectorSearch(threads: threads)
        self.observer = observer
    }

    package func close() async { pool.close() }

    // MARK: Collections

    package func names() async throws(ApusError) -> [CollectionName] {
        try await run { connection, deadline throws(ApusError) in
            let rows = try connection.run("SELECT name FROM apus_collections ORDER BY name", deadline: deadline)
            var names: [CollectionName] = []
            for row in rows { names.append(try CollectionName(row.text(0) ?? "")) }
            return names
        }
    }

    package func create(_ name: CollectionName, _ settings: CollectionSettings) async throws(ApusError) -> CollectionDescription {
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        try await run { connection, deadline throws(ApusError) in
            func bytes(_ text: String?) -> PostgresValue { text.map { .bytes(Array($0.utf8)) } ?? .null }
            // Looked for anew: it may have been installed since the server began.
            let pgvector = settings.dimensions <= PgvectorExtension.maxDimensions ? try self.lookForPgvector(connection, deadline) : nil
            try connection.transaction(deadline: deadline) { () throws(ApusError) in
                let rows = try connection.run(
                    """
                    INSERT INTO apus_collections (name, dimensions, metric, storage, model, weights, created_at, vectors)
                    VALUES ($1, $2, $3, $4, $5::bytea, $6::bytea, $7, $8) ON CONFLICT (name) DO NOTHING RETURNING number
                    """,
                    [
                        bytes(name.text), .integer(Int64(settings.dimensions)), bytes(settings.metric.rawValue), bytes(settings.storage.rawValue),
                        bytes(settings.model), bytes(settings.weights), .integer(now), bytes(pgvector == nil ? "bytes" : "pgvector"),
                    ], deadline: deadline)
                guard let number = rows.first?.integer(0) else {
                    throw ApusError(.collectionExists, "there is a collection '\(name)' already", place: "collection")
                }
                guard let pgvector else { return }
                let table = PostgresCollection.vectorTable(Int64(number))
                try connection.run(
                    "CREATE TABLE \(table) (number bigint PRIMARY KEY, embedding \(pgvector.type)(\(settings.dimensions)) NOT NULL)", deadline: deadline)
                if settings.dimensions <= PgvectorExtension.maxInlineDimensions {
                    try connection.run("ALTER TABLE \(table) ALTER COLUMN embedding SET STORAGE PLAIN", deadline: deadline)
                }
            }
        }
        return try await describe(name)
    }

    package func describe(_ name: CollectionName) async throws(ApusError) -> CollectionDescription {
        try await run { connection, deadline throws(ApusError) in
            let record = try self.record(name, connection, deadline)
            let row = try connection.run(
                """
                SELECT count(*), coalesce(sum(octet_length(id) + coalesce(octet_length(body), 0) + octet_length(metadata) + \(record.vectorBytes)), 0)::bigint
                FROM apus_documents WHERE collection = $1
                """, [.integer(record.number)], deadline: deadline
            ).first
            return CollectionDescription(
                name: name, settings: record.settings, documents: row?.integer(0) ?? 0, bytes: row?.integer(1) ?? 0, deleted: 0,
                createdAt: record.createdAt, backend: record.pgvector == nil ? .postgresql : .pgvector)
        }
    }

    package func drop(_ name: CollectionName) async throws(ApusError) {
        try await run { connection, deadline throws(ApusError) in
            try connection.transaction(deadline: deadline) { () throws(ApusError) in
                let rows = try connection.run(
                    "DELETE FROM apus_collections WHERE name = $1 RETURNING number", [.bytes(Array(name.text.utf8))], deadline: deadline)
                guard let number = rows.first?.integer(0) else { throw PostgresCollection.notFound(name) }
                try connection.run("DROP TABLE IF EXISTS \(PostgresCollection.vectorTable(Int64(number)))", deadline: deadline)
            }
        }
    }

    /// The database frees the room of deleted rows by itself, by `VACUUM`; here it is asked to do so now.
    package func compact(_ name: CollectionName) async throws(ApusError) -> CompactionReport {
        let bytes = try await describe(name).bytes
        try await run { connection, deadline throws(ApusError) in
            let record = try self.record(name, connection, deadline)
            for table in ["apus_documents"] + (record.pgvector == nil ? [] : [PostgresCollection.vectorTable(record.number)]) {
                try connection.run("VACUUM (ANALYZE) \(table)", deadline: deadline)
            }
        }
        return CompactionReport(removed: 0, bytesBefore: bytes, bytesAfter: try await describe(name).bytes)
    }

    // MARK: Running

    /// Runs `body` with a connection to a database that has the tables. What is cancelled is called off in the database, too.
    func run<Value: Sendable>(
        _ body: @escaping @Sendable (PostgresConnection, ContinuousClock.Instant) throws(ApusError) -> Value
    ) async throws(ApusError) -> Value {
        let timeout = pool.settings.commandTimeout
        guard !Task.isCancelled else { throw StoreFailure.cancelled }
        return try await pool.run { connection throws(ApusError) in
            let deadline = ContinuousClock.now + timeout
            if self.database.withLockedValue({ $0 }) == nil {
                try PostgresSchema.prepare(connection, deadline: deadline)
                let found = try PostgresDatabase(connection, deadline)
                let isFirst = self.database.withLockedValue { database in
                    defer { database = found }
                    return database == nil
                }
                if isFirst {
                    self.observer?(
                        .reached(address: self.pool.settings.address, found.pgvector.installed == nil ? .postgresql : .pgvector, reason: found.text))
                }
            }
            return try body(connection, deadline)
        }
    }

    /// Whether the database reads texts as Apus writes them, so that it can look into metadata.
    var readsTags: Bool { database.withLockedValue { $0?.isUTF8 ?? false } }

    /// The collection as its row tells. Throws `collection_not_found`, and `store_corrupt` for a row that no Apus wrote.
    ///
    /// - Parameter locking: `FOR UPDATE`, so that writers of one collection come one after the other; empty for readers.
    func record(
        _ name: CollectionName, _ connection: PostgresConnection, _ deadline: ContinuousClock.Instant, locking: String = ""
    ) throws(ApusError) -> PostgresCollection {
        var record = try PostgresCollection(name, connection, deadline, locking: locking)
        guard record.isPgvector else { return record }
        record.pgvector = database.withLockedValue { $0?.pgvector.installed }
        if record.pgvector == nil { record.pgvector = try lookForPgvector(connection, deadline) }
        guard record.pgvector != nil else {
            throw ApusError(
                .storeUnavailable, "the vectors of the collection are of pgvector's type, and the database has pgvector no more", place: name.text,
                advice: "Install the extension again")
        }
        return record
    }

    private func lookForPgvector(
        _ connection: PostgresConnection, _ deadline: ContinuousClock.Instant
    ) throws(ApusError) -> PgvectorExtension? {
        let standing = try PgvectorExtension.find(connection, deadline)
        database.withLockedValue { $0?.pgvector = standing }
        return standing.installed
    }
}
