import ApusErrors

/// The tables of ``PostgresCollections`` and how they come to be: each version by the steps from the one before, under a lock, so that several
/// servers may start at once.
enum PostgresSchema {
    /// `apus` as a number: everybody who changes the tables waits for this lock.
    private static let lock = 0x6170_7573

    /// Steps from version to version. Texts and ids are byte strings: they may hold what a database's encoding does not (a NUL), and are compared by
    /// their bytes. A vector is its elements as fp32, little-endian.
    private static let versions: [[String]] = [
        [
            """
            CREATE TABLE apus_collections (
                number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name bytea NOT NULL UNIQUE, dimensions bigint NOT NULL, metric bytea NOT NULL,
                storage bytea NOT NULL, model bytea, weights bytea, created_at bigint NOT NULL, last_document bigint NOT NULL DEFAULT 0)
            """,
            """
            CREATE TABLE apus_documents (
                collection bigint NOT NULL REFERENCES apus_collections ON DELETE CASCADE, id bytea NOT NULL, number bigint NOT NULL, body bytea,
                metadata bytea NOT NULL, vector bytea NOT NULL, PRIMARY KEY (collection, id))
            """,
            "CREATE UNIQUE INDEX apus_documents_in_order ON apus_documents (collection, number)",
            // Vectors of 32 dimensions and more do not get smaller by trying, and are read whole.
            "ALTER TABLE apus_documents ALTER COLUMN vector SET STORAGE EXTERNAL",
        ],
        // A collection's vectors are in the documents (`bytes`) or in a table of its own with a column of pgvector's type (`pgvector`). Metadata
        // are there a second time in a form that the database can look into, null where it has no such form.
        [
            "ALTER TABLE apus_collections ADD COLUMN vectors bytea NOT NULL DEFAULT 'bytes'",
            "ALTER TABLE apus_documents ALTER COLUMN vector DROP NOT NULL",
            "ALTER TABLE apus_documents ADD COLUMN tags jsonb",
        ],
    ]

    /// Makes the tables or brings them up to date. Throws `store_unavailable`, also for tables of a newer version.
    static func prepare(_ connection: PostgresConnection, deadline: ContinuousClock.Instant) throws(ApusError) {
        try connection.transaction(deadline: deadline) { () throws(ApusError) in
            try connection.run("SELECT pg_advisory_xact_lock($1)", [.integer(Int64(lock))], deadline: deadline)
            try connection.run("CREATE TABLE IF NOT EXISTS apus_schema (version bigint NOT NULL)", deadline: deadline)
            let version = try connection.run("SELECT max(version) FROM apus_schema", deadline: deadline).first?.integer(0) ?? 0
            guard (0...versions.count).contains(version) else {
                throw ApusError(
                    .storeUnavailable, "the database was made by a newer Apus: its tables are of version \(version), known is \(versions.count)",
                    advice: "Use that version of Apus, or another database")
            }
            for (offset, steps) in versions[version...].enumerated() {
                for step in steps { try connection.run(step, deadline: deadline) }
                try connection.run("INSERT INTO apus_schema VALUES ($1)", [.integer(Int64(version + offset + 1))], deadline: deadline)
            }
        }
    }
}

extension PostgresConnection {
    /// Runs `body` between `BEGIN` and `COMMIT`; what it throws takes everything back.
    func transaction<Value>(
        _ begin: String = "BEGIN", deadline: ContinuousClock.Instant, _ body: () throws(ApusError) -> Value
    ) throws(ApusError) -> Value {
        try run(begin, deadline: deadline)
        do throws(ApusError) {
            let value = try body()
            try run("COMMIT", deadline: deadline)
            return value
        } catch {
            if !isBroken { _ = try? run("ROLLBACK", deadline: deadline) }
            throw error
        }
    }
}
