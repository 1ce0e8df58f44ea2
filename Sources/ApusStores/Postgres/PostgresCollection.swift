import ApusErrors
import ApusVectors

/// One collection as its row tells.
struct PostgresCollection {
    let number: Int64
    let settings: CollectionSettings
    let createdAt: Int
    /// The number of the document that was written last.
    let lastDocument: Int64
    /// Whether the vectors have a table of their own.
    let isPgvector: Bool
    /// The extension by which they are read; nil for vectors that are byte strings.
    var pgvector: PgvectorExtension?

    /// Reads the row. Throws `collection_not_found`, and `store_corrupt` for a row that no Apus wrote.
    init(
        _ name: CollectionName, _ connection: PostgresConnection, _ deadline: ContinuousClock.Instant, locking: String
    ) throws(ApusError) {
        let rows = try connection.run(
            """
            SELECT number, dimensions, metric, storage, model, weights, created_at, last_document, vectors FROM apus_collections WHERE name = $1 \(locking)
            """, [.bytes(Array(name.text.utf8))], deadline: deadline)
        guard let row = rows.first else { throw Self.notFound(name) }
        guard let number = row.integer(0), let dimensions = row.integer(1), let metric = row.text(2).flatMap(VectorMetric.init(rawValue:)),
            let storage = row.text(3).flatMap(VectorStorage.init(rawValue:)), let createdAt = row.integer(6), let last = row.integer(7),
            let vectors = row.text(8), ["bytes", "pgvector"].contains(vectors)
        else { throw StoreFailure.corrupt("the collection's row does not read as it was written", name.text, advice: "Restore the database from a copy") }
        self.number = Int64(number)
        settings = try CollectionSettings(dimensions: dimensions, metric: metric, storage: storage, model: row.text(4), weights: row.text(5))
        self.createdAt = createdAt
        lastDocument = Int64(last)
        isPgvector = vectors == "pgvector"
    }

    /// The table with the vectors of the collection of this number.
    static func vectorTable(_ number: Int64) -> String { "apus_vectors_\(number)" }

    /// The documents `d` of the collection whose number is parameter `parameter`, with their vectors where those are wanted.
    func source(vectors: Bool) -> String {
        guard isPgvector, vectors else { return "apus_documents d" }
        return "apus_documents d JOIN \(Self.vectorTable(number)) v ON v.number = d.number"
    }

    /// The column of the vector in ``source(vectors:)``.
    var vectorColumn: String { isPgvector ? "v.embedding" : "d.vector" }

    /// What a document's vector takes, in SQL.
    var vectorBytes: String { isPgvector ? "\(settings.dimensions * 4 + 8)" : "octet_length(vector)" }

    static func notFound(_ name: CollectionName) -> ApusError {
        ApusError(.collectionNotFound, "there is no collection '\(name)'", place: "collection")
    }
}
