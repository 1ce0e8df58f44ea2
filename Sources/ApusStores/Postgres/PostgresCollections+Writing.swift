package import ApusErrors
import ApusVectors

extension PostgresCollections {
    package func write(_ documents: [Document], _ mode: WriteMode, into name: CollectionName) async throws(ApusError) -> WriteReceipt {
        try await run { connection, deadline throws(ApusError) in
            try connection.transaction(deadline: deadline) { () throws(ApusError) in
                // Writers of one collection one after the other, so that documents are numbered in the order in which they become visible.
                let record = try PostgresCollection(name, connection, deadline, locking: "FOR UPDATE")
                let batch = try DocumentBatch(documents, for: record.settings)
                guard !batch.documents.isEmpty else { return WriteReceipt(added: 0, replaced: 0) }
                let ids = batch.documents.map { Array($0.id.utf8) }
                let known = try connection.run(
                    "SELECT id FROM apus_documents WHERE collection = $1 AND id = ANY($2)", [.integer(record.number), .byteStrings(ids)],
                    deadline: deadline)
                let replaced = Set(known.compactMap { $0.bytes(0) })
                if mode == .add, let index = ids.firstIndex(where: { replaced.contains($0) }) {
                    throw ApusError(
                        .documentExists, "there is a document '\(batch.documents[index].id)' already", place: "documents[\(index)].id",
                        advice: "Write with the mode upsert to replace it")
                }
                if !replaced.isEmpty {
                    try connection.run(
                        "DELETE FROM apus_documents WHERE collection = $1 AND id = ANY($2)",
                        [.integer(record.number), .byteStrings(Array(replaced))], deadline: deadline)
                }
                try connection.run(
                    """
                    INSERT INTO apus_documents (collection, id, number, body, metadata, vector)
                    SELECT $1, id, $2 + place, body, metadata, vector
                    FROM unnest($3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[]) WITH ORDINALITY AS new (id, body, metadata, vector, place)
                    """,
                    [
                        .integer(record.number), .integer(record.lastDocument), .byteStrings(ids),
                        .byteStrings(batch.documents.map { $0.text.map { Array($0.utf8) } }), .byteStrings(batch.documents.map(\.metadata.encoded)),
                        .byteStrings(batch.documents.map { Self.encoded($0.vector) }),
                    ], deadline: deadline)
                let (last, overflow) = record.lastDocument.addingReportingOverflow(Int64(ids.count))
                guard !overflow else { throw ApusError(.storeUnavailable, "the collection has numbered all documents that it can", place: name.text) }
                try connection.run(
                    "UPDATE apus_collections SET last_document = $2 WHERE number = $1", [.integer(record.number), .integer(last)], deadline: deadline)
                return WriteReceipt(added: ids.count - replaced.count, replaced: replaced.count)
            }
        }
    }

    package func delete(_ selection: DocumentSelection, from name: CollectionName) async throws(ApusError) -> Int {
        try await run { connection, deadline throws(ApusError) in
            try connection.transaction(deadline: deadline) { () throws(ApusError) in
                let record = try PostgresCollection(name, connection, deadline, locking: "FOR UPDATE")
                let ids: [[UInt8]]
                switch selection {
                case .ids(let named): ids = named.map { Array($0.utf8) }
                case .filter(let filter):
                    var chosen: [[UInt8]] = []
                    try connection.run(
                        "SELECT id, metadata FROM apus_documents WHERE collection = $1", [.integer(record.number)], deadline: deadline
                    ) { row throws(ApusError) in
                        if filter.matches(try Self.metadata(row.bytes(1), name)), let id = row.bytes(0) { chosen.append(id) }
                    }
                    ids = chosen
                }
                return try connection.run(
                    "DELETE FROM apus_documents WHERE collection = $1 AND id = ANY($2) RETURNING 1",
                    [.integer(record.number), .byteStrings(ids)], deadline: deadline
                ).count
            }
        }
    }

    static func encoded(_ vector: [Float]) -> [UInt8] {
        vector.flatMap { element in withUnsafeBytes(of: element.bitPattern.littleEndian) { Array($0) } }
    }

    /// Appends a stored vector's elements to `values`. Throws `store_corrupt` for another length.
    static func decode(_ bytes: [UInt8]?, dimensions: Int, into values: inout [Float], _ name: CollectionName) throws(ApusError) {
        guard let bytes, bytes.count == dimensions * 4 else { throw corrupt("a vector", name) }
        bytes.withUnsafeBytes { bytes in
            for place in 0..<dimensions {
                values.append(Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: place * 4, as: UInt32.self))))
            }
        }
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
