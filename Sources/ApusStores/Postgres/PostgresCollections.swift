package import ApusErrors
import ApusVectors
import Foundation
import NIOConcurrencyHelpers

/// Collections in a PostgreSQL that several servers share.
///
/// Searches are exact and score as ``LocalCollections`` does, to the bit: the vectors of the collection are read from the database and scanned by
/// the same kernels here. No index and no extension of the database is used, so that any PostgreSQL from version 10 on will do, and a search takes
/// as long as reading the vectors takes. Filters, too, are evaluated here. For collections of more than some hundred thousand documents files are the
/// better place.
///
/// A server that is away, slow or full: `store_unavailable`, and nothing else happens. What a call was answered for is as durable as the database
/// makes a commit.
package final class PostgresCollections: CollectionStore {
    let pool: PostgresPool
    let engine: CPUVectorSearch
    private let isPrepared = NIOLockedValueBox(false)

    /// Nothing is connected before the first call. Throws `invalid_configuration`.
    package init(_ settings: PostgresSettings, threads: Int? = nil) throws(ApusError) {
        pool = PostgresPool(settings)
        engine = try CPUVectorSearch(threads: threads)
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
            let rows = try connection.run(
                """
                INSERT INTO apus_collections (name, dimensions, metric, storage, model, weights, created_at)
                VALUES ($1, $2, $3, $4, $5::bytea, $6::bytea, $7) ON CONFLICT (name) DO NOTHING RETURNING number
                """,
                [
                    bytes(name.text), .integer(Int64(settings.dimensions)), bytes(settings.metric.rawValue), bytes(settings.storage.rawValue),
                    bytes(settings.model), bytes(settings.weights), .integer(now),
                ], deadline: deadline)
            guard !rows.isEmpty else {
                throw ApusError(.collectionExists, "there is a collection '\(name)' already", place: "collection")
            }
        }
        return try await describe(name)
    }

    package func describe(_ name: CollectionName) async throws(ApusError) -> CollectionDescription {
        try await run { connection, deadline throws(ApusError) in
            let record = try PostgresCollection(name, connection, deadline)
            let row = try connection.run(
                """
                SELECT count(*), coalesce(sum(octet_length(id) + coalesce(octet_length(body), 0) + octet_length(metadata) + octet_length(vector)), 0)::bigint
                FROM apus_documents WHERE collection = $1
                """, [.integer(record.number)], deadline: deadline
            ).first
            return CollectionDescription(
                name: name, settings: record.settings, documents: row?.integer(0) ?? 0, bytes: row?.integer(1) ?? 0, deleted: 0,
                createdAt: record.createdAt)
        }
    }

    package func drop(_ name: CollectionName) async throws(ApusError) {
        try await run { connection, deadline throws(ApusError) in
            let rows = try connection.run(
                "DELETE FROM apus_collections WHERE name = $1 RETURNING number", [.bytes(Array(name.text.utf8))], deadline: deadline)
            guard !rows.isEmpty else { throw PostgresCollection.notFound(name) }
        }
    }

    /// The database frees the room of deleted rows by itself, by `VACUUM`; here it is asked to do so now.
    package func compact(_ name: CollectionName) async throws(ApusError) -> CompactionReport {
        let bytes = try await describe(name).bytes
        try await run { connection, deadline throws(ApusError) in
            _ = try connection.run("VACUUM apus_documents", deadline: deadline)
        }
        return CompactionReport(removed: 0, bytesBefore: bytes, bytesAfter: try await describe(name).bytes)
    }

    // MARK: Running

    /// Runs `body` with a connection to a database that has the tables.
    func run<Value: Sendable>(
        _ body: @escaping @Sendable (PostgresConnection, ContinuousClock.Instant) throws(ApusError) -> Value
    ) async throws(ApusError) -> Value {
        let isPrepared = isPrepared
        let timeout = pool.settings.commandTimeout
        guard !Task.isCancelled else { throw StoreFailure.cancelled }
        return try await pool.run { connection throws(ApusError) in
            let deadline = ContinuousClock.now + timeout
            if !isPrepared.withLockedValue({ $0 }) {
                try PostgresSchema.prepare(connection, deadline: deadline)
                isPrepared.withLockedValue { $0 = true }
            }
            return try body(connection, deadline)
        }
    }
}

/// One collection as its row tells.
struct PostgresCollection {
    let number: Int64
    let settings: CollectionSettings
    let createdAt: Int
    /// The number of the document that was written last.
    let lastDocument: Int64

    /// Reads the row. Throws `collection_not_found`, and `store_corrupt` for a row that no Apus wrote.
    ///
    /// - Parameter locking: `FOR UPDATE`, so that writers of one collection come one after the other; empty for readers.
    init(
        _ name: CollectionName, _ connection: PostgresConnection, _ deadline: ContinuousClock.Instant, locking: String = ""
    ) throws(ApusError) {
        let rows = try connection.run(
            "SELECT number, dimensions, metric, storage, model, weights, created_at, last_document FROM apus_collections WHERE name = $1 \(locking)",
            [.bytes(Array(name.text.utf8))], deadline: deadline)
        guard let row = rows.first else { throw Self.notFound(name) }
        guard let number = row.integer(0), let dimensions = row.integer(1), let metric = row.text(2).flatMap(VectorMetric.init(rawValue:)),
            let storage = row.text(3).flatMap(VectorStorage.init(rawValue:)), let createdAt = row.integer(6), let last = row.integer(7)
        else { throw StoreFailure.corrupt("the collection's row does not read as it was written", name.text, advice: "Restore the database from a copy") }
        self.number = Int64(number)
        settings = try CollectionSettings(dimensions: dimensions, metric: metric, storage: storage, model: row.text(4), weights: row.text(5))
        self.createdAt = createdAt
        lastDocument = Int64(last)
    }

    static func notFound(_ name: CollectionName) -> ApusError {
        ApusError(.collectionNotFound, "there is no collection '\(name)'", place: "collection")
    }
}
