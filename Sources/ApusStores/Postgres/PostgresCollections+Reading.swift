package import ApusErrors
import ApusVectors
import Dispatch
import NIOConcurrencyHelpers

extension PostgresCollections {
    package func documents(
        _ ids: [String], of name: CollectionName, including parts: DocumentParts
    ) async throws(ApusError) -> [StoredDocument?] {
        try await run { connection, deadline throws(ApusError) in
            let record = try PostgresCollection(name, connection, deadline)
            var found: [[UInt8]: StoredDocument] = [:]
            try connection.run(
                "SELECT \(Self.columns(parts)) FROM apus_documents WHERE collection = $1 AND id = ANY($2)",
                [.integer(record.number), .byteStrings(ids.map { Array($0.utf8) })], deadline: deadline
            ) { row throws(ApusError) in
                let document = try Self.document(row, parts, record, name)
                found[Array(document.id.utf8)] = document
            }
            return ids.map { found[Array($0.utf8)] }
        }
    }

    package func list(_ listing: DocumentListing, of name: CollectionName) async throws(ApusError) -> DocumentPage {
        guard DocumentListing.limits.contains(listing.limit) else {
            throw ApusError(
                .invalidValue,
                "a page has \(DocumentListing.limits.lowerBound) to \(DocumentListing.limits.upperBound) documents, not \(listing.limit)",
                place: "limit")
        }
        return try await run { connection, deadline throws(ApusError) in
            try connection.transaction(Self.beginReading, deadline: deadline) { () throws(ApusError) in
                let record = try PostgresCollection(name, connection, deadline)
                let read = listing.filter == nil ? listing.parts : listing.parts.union(.metadata)
                var documents: [StoredDocument] = []
                var after = Array((listing.after ?? "").utf8)
                // One more than wanted tells whether there is a next page; with a filter, what passes is spread over more rows.
                pages: while true {
                    var count = 0
                    let rows = try connection.run(
                        "SELECT \(Self.columns(read)) FROM apus_documents WHERE collection = $1 AND id > $2 ORDER BY id LIMIT $3",
                        [.integer(record.number), .bytes(after), .integer(Int64(Self.pageRows(listing)))], deadline: deadline)
                    for row in rows {
                        count += 1
                        after = row.bytes(0) ?? after
                        var document = try Self.document(row, read, record, name)
                        if let filter = listing.filter, document.metadata.map({ filter.matches($0) }) != true { continue }
                        if !listing.parts.contains(.metadata) { document.metadata = nil }
                        documents.append(document)
                        if documents.count > listing.limit { break pages }
                    }
                    if count < Self.pageRows(listing) { break }
                }
                let page = Array(documents.prefix(listing.limit))
                return DocumentPage(documents: page, next: documents.count > listing.limit ? page.last?.id : nil)
            }
        }
    }

    private static func pageRows(_ listing: DocumentListing) -> Int { listing.filter == nil ? listing.limit + 1 : max(listing.limit + 1, 1_000) }

    package func search(_ search: CollectionSearch, in name: CollectionName) async throws(ApusError) -> [[CollectionHit]] {
        let engine = engine
        return try await run { connection, deadline throws(ApusError) in
            // One transaction from the first vector to the last text, so that all is of one moment.
            try connection.transaction(Self.beginReading, deadline: deadline) { () throws(ApusError) in
                let record = try PostgresCollection(name, connection, deadline)
                let (set, numbers) = try Self.vectors(search.filter, record, name, connection, deadline)
                let query = VectorQuery(search.queries, k: search.k, metric: record.settings.metric)
                let found = try Self.waiting { () async throws(ApusError) in try await engine.search(query, in: set.snapshot()) }
                let documents = try Self.documents(
                    Set(found.joined().map { numbers[$0.row] }), search.parts, record, name, connection, deadline)
                return try found.map { hits throws(ApusError) in
                    try hits.map { hit throws(ApusError) in
                        guard let document = documents[numbers[hit.row]] else { throw Self.corrupt("the number", name) }
                        return CollectionHit(document: document, score: hit.score)
                    }
                }
            }
        }
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

    private static func documents(
        _ numbers: Set<Int64>, _ parts: DocumentParts, _ record: PostgresCollection, _ name: CollectionName, _ connection: PostgresConnection,
        _ deadline: ContinuousClock.Instant
    ) throws(ApusError) -> [Int64: StoredDocument] {
        var documents: [Int64: StoredDocument] = [:]
        try connection.run(
            "SELECT \(columns(parts)), number FROM apus_documents WHERE collection = $1 AND number = ANY($2)",
            [.integer(record.number), .integers(numbers.sorted())], deadline: deadline
        ) { row throws(ApusError) in
            guard let number = row.integer(row.columns.count - 1) else { throw corrupt("the number", name) }
            documents[Int64(number)] = try document(row, parts, record, name)
        }
        return documents
    }

    /// The vectors of a collection, or of those documents that pass a filter, in the order in which they were written, and their numbers.
    private static func vectors(
        _ filter: MetadataFilter?, _ record: PostgresCollection, _ name: CollectionName, _ connection: PostgresConnection,
        _ deadline: ContinuousClock.Instant
    ) throws(ApusError) -> (set: VectorSet, numbers: [Int64]) {
        let dimensions = record.settings.dimensions
        let set = try VectorSet(VectorFormat(dimensions: dimensions))
        var numbers: [Int64] = []
        var values: [Float] = []
        try connection.run(
            "SELECT number, vector\(filter == nil ? "" : ", metadata") FROM apus_documents WHERE collection = $1 ORDER BY number",
            [.integer(record.number)], deadline: deadline
        ) { row throws(ApusError) in
            guard let number = row.integer(0) else { throw corrupt("the number", name) }
            if let filter, !filter.matches(try metadata(row.bytes(2), name)) { return }
            try decode(row.bytes(1), dimensions: dimensions, into: &values, name)
            numbers.append(Int64(number))
            guard values.count >= 1 << 20 else { return }
            _ = try set.append(try VectorRows(values, dimensions: dimensions))
            values.removeAll(keepingCapacity: true)
        }
        if !values.isEmpty { _ = try set.append(try VectorRows(values, dimensions: dimensions)) }
        return (set, numbers)
    }

    /// All that a call reads is of one moment.
    private static let beginReading = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

    /// The columns of ``document(_:_:_:_:)``. Names that stand here alone.
    private static func columns(_ parts: DocumentParts) -> String {
        var columns = ["id"]
        if parts.contains(.text) { columns.append("body") }
        if parts.contains(.metadata) { columns.append("metadata") }
        if parts.contains(.vector) { columns.append("vector") }
        return columns.joined(separator: ", ")
    }

    private static func document(
        _ row: PostgresRow, _ parts: DocumentParts, _ record: PostgresCollection, _ name: CollectionName
    ) throws(ApusError) -> StoredDocument {
        guard let id = row.text(0) else { throw corrupt("the id", name) }
        var document = StoredDocument(id: id)
        var column = 1
        if parts.contains(.text) {
            document.text = row.text(column)
            column += 1
        }
        if parts.contains(.metadata) {
            document.metadata = try metadata(row.bytes(column), name)
            column += 1
        }
        if parts.contains(.vector) {
            var values: [Float] = []
            try decode(row.bytes(column), dimensions: record.settings.dimensions, into: &values, name)
            document.vector = values
        }
        return document
    }
}
