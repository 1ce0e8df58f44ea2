package import ApusErrors

extension PostgresCollections {
    package func documents(
        _ ids: [String], of name: CollectionName, including parts: DocumentParts
    ) async throws(ApusError) -> [StoredDocument?] {
        try await run { connection, deadline throws(ApusError) in
            let record = try self.record(name, connection, deadline)
            var found: [[UInt8]: StoredDocument] = [:]
            try connection.run(
                "SELECT \(record.columns(parts)) FROM \(record.source(vectors: parts.contains(.vector))) WHERE d.collection = $1 AND d.id = ANY($2)",
                [.integer(record.number), .byteStrings(ids.map { Array($0.utf8) })], deadline: deadline
            ) { row throws(ApusError) in
                let document = try record.document(row, parts, name)
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
                let record = try self.record(name, connection, deadline)
                let read = listing.filter == nil ? listing.parts : listing.parts.union(.metadata)
                let condition = listing.filter.map { FilterCondition($0, after: 3) }
                var documents: [StoredDocument] = []
                var after = Array((listing.after ?? "").utf8)
                // One more than wanted tells whether there is a next page; what a condition lets through by mistake is made up for by the next rows.
                let wanted = listing.limit + 1
                pages: while true {
                    let rows = try connection.run(
                        """
                        SELECT \(record.columns(read)) FROM \(record.source(vectors: read.contains(.vector)))
                        WHERE d.collection = $1 AND d.id > $2\(condition.map { " AND \($0.sql)" } ?? "") ORDER BY d.id LIMIT $3
                        """,
                        [.integer(record.number), .bytes(after), .integer(Int64(wanted))] + (condition?.parameters ?? []), deadline: deadline)
                    for row in rows {
                        after = row.bytes(0) ?? after
                        var document = try record.document(row, read, name)
                        if let filter = listing.filter, document.metadata.map({ filter.matches($0) }) != true { continue }
                        if !listing.parts.contains(.metadata) { document.metadata = nil }
                        documents.append(document)
                        if documents.count == wanted { break pages }
                    }
                    if rows.count < wanted { break }
                }
                let page = Array(documents.prefix(listing.limit))
                return DocumentPage(documents: page, next: documents.count == wanted ? page.last?.id : nil)
            }
        }
    }

    /// All that a call reads is of one moment.
    static let beginReading = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
}

extension PostgresCollection {
    /// The columns of ``document(_:_:_:)`` in ``source(vectors:)``. Names that stand here alone.
    func columns(_ parts: DocumentParts) -> String {
        var columns = ["d.id"]
        if parts.contains(.text) { columns.append("d.body") }
        if parts.contains(.metadata) { columns.append("d.metadata") }
        if parts.contains(.vector) { columns.append(vectorColumn) }
        return columns.joined(separator: ", ")
    }

    func document(_ row: PostgresRow, _ parts: DocumentParts, _ name: CollectionName) throws(ApusError) -> StoredDocument {
        guard let id = row.text(0) else { throw Self.corrupt("the id", name) }
        var document = StoredDocument(id: id)
        var column = 1
        if parts.contains(.text) {
            document.text = row.text(column)
            column += 1
        }
        if parts.contains(.metadata) {
            document.metadata = try Self.metadata(row.bytes(column), name)
            column += 1
        }
        if parts.contains(.vector) {
            var values: [Float] = []
            try decode(row.bytes(column), into: &values, name)
            document.vector = values
        }
        return document
    }

    /// Appends a stored vector's elements to `values`. Throws `store_corrupt` for another length.
    func decode(_ bytes: [UInt8]?, into values: inout [Float], _ name: CollectionName) throws(ApusError) {
        // pgvector sends the number of elements and two bytes first, and the elements big-endian.
        let header = isPgvector ? 4 : 0
        guard let bytes, bytes.count == header + settings.dimensions * 4 else { throw Self.corrupt("a vector", name) }
        bytes.withUnsafeBytes { bytes in
            for place in 0..<settings.dimensions {
                let word = bytes.loadUnaligned(fromByteOffset: header + place * 4, as: UInt32.self)
                values.append(Float(bitPattern: isPgvector ? UInt32(bigEndian: word) : UInt32(littleEndian: word)))
            }
        }
    }

    static func encoded(_ vector: [Float]) -> [UInt8] {
        vector.flatMap { element in withUnsafeBytes(of: element.bitPattern.littleEndian) { Array($0) } }
    }

    /// Throws `store_corrupt` for what is no metadata.
    static func metadata(_ bytes: [UInt8]?, _ name: CollectionName) throws(ApusError) -> Metadata {
        guard let bytes else { throw corrupt("metadata", name) }
        do throws(ApusError) {
            return try Metadata(parsing: bytes)
        } catch {
            throw corrupt("metadata", name)
        }
    }

    static func corrupt(_ what: String, _ name: CollectionName) -> ApusError {
        StoreFailure.corrupt("\(what) of a document does not read as it was written", name.text, advice: "Restore the database from a copy")
    }
}
