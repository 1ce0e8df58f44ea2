package import ApusErrors

extension PostgresCollections {
    package func write(_ documents: [Document], _ mode: WriteMode, into name: CollectionName) async throws(ApusError) -> WriteReceipt {
        try await run { connection, deadline throws(ApusError) in
            try connection.transaction(deadline: deadline) { () throws(ApusError) in
                // Writers of one collection one after the other, so that documents are numbered in the order in which they become visible.
                let record = try self.record(name, connection, deadline, locking: "FOR UPDATE")
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
                    _ = try Self.remove(Array(replaced), record, connection, deadline)
                }
                // Each at its place, null for none.
                let isApart = record.isPgvector
                try connection.run(
                    """
                    INSERT INTO apus_documents (collection, id, number, body, metadata, vector, tags)
                    SELECT $1, id, $2 + place, body, metadata, vector, tags::jsonb
                    FROM unnest($3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[], $7::text[])
                    WITH ORDINALITY AS new (id, body, metadata, vector, tags, place)
                    """,
                    [
                        .integer(record.number), .integer(record.lastDocument), .byteStrings(ids),
                        .byteStrings(batch.documents.map { $0.text.map { Array($0.utf8) } }), .byteStrings(batch.documents.map(\.metadata.encoded)),
                        .byteStrings(batch.documents.map { isApart ? nil : PostgresCollection.encoded($0.vector) }),
                        .texts(batch.documents.map { self.readsTags ? $0.metadata.tags : nil }),
                    ], deadline: deadline)
                if let pgvector = record.pgvector {
                    try connection.run(
                        """
                        INSERT INTO \(PostgresCollection.vectorTable(record.number)) (number, embedding)
                        SELECT $1 + place, embedding FROM unnest($2::\(pgvector.type)[]) WITH ORDINALITY AS new (embedding, place)
                        """,
                        [.integer(record.lastDocument), .vectors(batch.documents.map(\.vector), type: pgvector.typeNumber)], deadline: deadline)
                }
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
                let record = try self.record(name, connection, deadline, locking: "FOR UPDATE")
                switch selection {
                case .ids(let named): return try Self.remove(named.map { Array($0.utf8) }, record, connection, deadline)
                case .filter(let filter):
                    let condition = FilterCondition(filter, after: 1)
                    var chosen: [[UInt8]] = []
                    try connection.run(
                        "SELECT d.id, d.metadata FROM apus_documents d WHERE d.collection = $1 AND \(condition.sql)",
                        [.integer(record.number)] + condition.parameters, deadline: deadline
                    ) { row throws(ApusError) in
                        if filter.matches(try PostgresCollection.metadata(row.bytes(1), name)), let id = row.bytes(0) { chosen.append(id) }
                    }
                    return try Self.remove(chosen, record, connection, deadline)
                }
            }
        }
    }

    /// Returns how many there were.
    private static func remove(
        _ ids: [[UInt8]], _ record: PostgresCollection, _ connection: PostgresConnection, _ deadline: ContinuousClock.Instant
    ) throws(ApusError) -> Int {
        let gone = try connection.run(
            "DELETE FROM apus_documents WHERE collection = $1 AND id = ANY($2) RETURNING number", [.integer(record.number), .byteStrings(ids)],
            deadline: deadline)
        guard record.isPgvector, !gone.isEmpty else { return gone.count }
        let numbers = gone.compactMap { $0.integer(0).map { Int64($0) } }
        try connection.run(
            "DELETE FROM \(PostgresCollection.vectorTable(record.number)) WHERE number = ANY($1)", [.integers(numbers)], deadline: deadline)
        return gone.count
    }
}
