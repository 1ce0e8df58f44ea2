package import ApusErrors
import ApusVectors
import Dispatch
import NIOConcurrencyHelpers

extension PostgresCollections {
    /// Queries up to which each is a scan of the database's; more are answered by one reading of all vectors.
    private static let mostScans = 16

    package func search(_ search: CollectionSearch, in name: CollectionName) async throws(ApusError) -> [[CollectionHit]] {
        let engine = engine
        return try await run { connection, deadline throws(ApusError) in
            // One transaction from the first vector to the last text, so that all is of one moment.
            try connection.transaction(Self.beginReading, deadline: deadline) { () throws(ApusError) in
                let record = try self.record(name, connection, deadline)
                let query = VectorQuery(search.queries, k: search.k, metric: record.settings.metric)
                let reader = VectorReader(record: record, name: name, connection: connection, deadline: deadline)
                var found: [[(number: Int64, score: Float)]] = []
                if let pgvector = record.pgvector, search.queries.count <= Self.mostScans {
                    // What is wrong with the question is told before the database is asked.
                    _ = try Self.scan(query, NumberedVectors(set: try VectorSet(VectorFormat(dimensions: record.settings.dimensions)), numbers: []), engine)
                    for row in 0..<search.queries.count {
                        let values = search.queries.values[row * search.queries.dimensions..<(row + 1) * search.queries.dimensions]
                        let near = try reader.nearest(Array(values), search.k, search.filter, pgvector)
                        let one = VectorQuery(
                            try VectorRows(Array(values), dimensions: search.queries.dimensions), k: search.k, metric: record.settings.metric)
                        found += try Self.scan(one, near, engine)
                    }
                } else {
                    found = try Self.scan(query, try reader.all(search.filter), engine)
                }
                let documents = try reader.documents(Set(found.joined().map(\.number)), search.parts)
                return try found.map { hits throws(ApusError) in
                    try hits.map { hit throws(ApusError) in
                        guard let document = documents[hit.number] else { throw PostgresCollection.corrupt("the number", name) }
                        return CollectionHit(document: document, score: hit.score)
                    }
                }
            }
        }
    }

    /// Scores vectors, which are in the order in which they were written.
    private static func scan(
        _ query: VectorQuery, _ read: NumberedVectors, _ engine: CPUVectorSearch
    ) throws(ApusError) -> [[(number: Int64, score: Float)]] {
        let found = try waiting { () async throws(ApusError) in try await engine.search(query, in: read.set.snapshot()) }
        return found.map { hits in hits.map { (number: read.numbers[$0.row], score: $0.score) } }
    }

    /// What `body` comes to, on a thread that may block: never one of Swift's own.
    private static func waiting<Value: Sendable>(_ body: @escaping @Sendable () async throws(ApusError) -> Value) throws(ApusError) -> Value {
        let outcome = NIOLockedValueBox<Result<Value, ApusError>?>(nil)
        let isDone = DispatchSemaphore(value: 0)
        Task.detached {
            do throws(ApusError) {
                let value = try await body()
                outcome.withLockedValue { $0 = .success(value) }
            } catch {
                outcome.withLockedValue { $0 = .failure(error) }
            }
            isDone.signal()
        }
        isDone.wait()
        guard let outcome = outcome.withLockedValue({ $0 }) else { throw StoreFailure.cancelled }
        return try outcome.get()
    }
}

/// Vectors that were read, ascending by the numbers of their documents.
private struct NumberedVectors {
    let set: VectorSet
    let numbers: [Int64]
}

/// Reads vectors and documents of one collection in one transaction.
private struct VectorReader {
    let record: PostgresCollection
    let name: CollectionName
    let connection: PostgresConnection
    let deadline: ContinuousClock.Instant

    /// The vectors that pgvector finds nearest, some more than wanted: those in the last places are apart by its rounding, too.
    func nearest(_ query: [Float], _ k: Int, _ filter: MetadataFilter?, _ pgvector: PgvectorExtension) throws(ApusError) -> NumberedVectors {
        let condition = filter.map { FilterCondition($0, after: 3) }
        let table = PostgresCollection.vectorTable(record.number)
        let sql = """
            SELECT v.number, v.embedding\(condition == nil ? "" : ", d.metadata") FROM \(table) v
            \(condition.map { "JOIN apus_documents d ON d.collection = $3 AND d.number = v.number WHERE \($0.sql)" } ?? "WHERE $3 = $3")
            ORDER BY \(pgvector.distance(record.settings.metric, of: "v.embedding")), v.number LIMIT $2
            """
        var limit = k + max(16, k / 8)
        while true {
            var near: [(number: Int64, vector: [Float])] = []
            var count = 0
            try connection.run(
                sql, [.vector(query), .integer(Int64(limit)), .integer(record.number)] + (condition?.parameters ?? []), deadline: deadline
            ) { row throws(ApusError) in
                count += 1
                if let filter, !filter.matches(try PostgresCollection.metadata(row.bytes(2), name)) { return }
                guard let number = row.integer(0) else { throw PostgresCollection.corrupt("the number", name) }
                var vector: [Float] = []
                try record.decode(row.bytes(1), into: &vector, name)
                near.append((Int64(number), vector))
            }
            // The condition let through what the filter does not: what it took the place of is further behind.
            if near.count < k, count == limit {
                limit *= 4
                continue
            }
            near.sort { $0.number < $1.number }
            let set = try VectorSet(VectorFormat(dimensions: record.settings.dimensions))
            if !near.isEmpty { _ = try set.append(try VectorRows(near.flatMap(\.vector), dimensions: record.settings.dimensions)) }
            return NumberedVectors(set: set, numbers: near.map(\.number))
        }
    }

    /// The vectors of the collection, or of those documents that pass a filter.
    func all(_ filter: MetadataFilter?) throws(ApusError) -> NumberedVectors {
        let condition = filter.map { FilterCondition($0, after: 1) }
        let dimensions = record.settings.dimensions
        let set = try VectorSet(VectorFormat(dimensions: dimensions))
        var numbers: [Int64] = []
        var values: [Float] = []
        try connection.run(
            """
            SELECT d.number, \(record.vectorColumn)\(filter == nil ? "" : ", d.metadata") FROM \(record.source(vectors: true))
            WHERE d.collection = $1\(condition.map { " AND \($0.sql)" } ?? "") ORDER BY d.number
            """,
            [.integer(record.number)] + (condition?.parameters ?? []), deadline: deadline
        ) { row throws(ApusError) in
            guard let number = row.integer(0) else { throw PostgresCollection.corrupt("the number", name) }
            if let filter, !filter.matches(try PostgresCollection.metadata(row.bytes(2), name)) { return }
            try record.decode(row.bytes(1), into: &values, name)
            numbers.append(Int64(number))
            guard values.count >= 1 << 20 else { return }
            _ = try set.append(try VectorRows(values, dimensions: dimensions))
            values.removeAll(keepingCapacity: true)
        }
        if !values.isEmpty { _ = try set.append(try VectorRows(values, dimensions: dimensions)) }
        return NumberedVectors(set: set, numbers: numbers)
    }

    func documents(_ numbers: Set<Int64>, _ parts: DocumentParts) throws(ApusError) -> [Int64: StoredDocument] {
        var documents: [Int64: StoredDocument] = [:]
        try connection.run(
            """
            SELECT \(record.columns(parts)), d.number FROM \(record.source(vectors: parts.contains(.vector)))
            WHERE d.collection = $1 AND d.number = ANY($2)
            """,
            [.integer(record.number), .integers(numbers.sorted())], deadline: deadline
        ) { row throws(ApusError) in
            guard let number = row.integer(row.columns.count - 1) else { throw PostgresCollection.corrupt("the number", name) }
            documents[Int64(number)] = try record.document(row, parts, name)
        }
        return documents
    }
}
