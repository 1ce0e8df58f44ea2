import ApusErrors
import ApusVectors

/// The extension pgvector of a database (https://github.com/pgvector/pgvector): its types and operators, wherever they were installed.
struct PgvectorExtension: Sendable, Equatable {
    /// Quoted, as SQL takes it.
    let schema: String
    let version: String
    /// The type's number in this database.
    let typeNumber: UInt32

    /// The most dimensions of its `vector`.
    static let maxDimensions = 16_000

    /// Dimensions up to which a row has room on a page of the table itself, where a scan finds it without a second look: a page has 8 KiB
    /// (https://www.postgresql.org/docs/current/storage-toast.html).
    static let maxInlineDimensions = 1_900

    var type: String { "\(schema).vector" }

    /// The distance of a stored vector to parameter 1, ascending the nearest first.
    ///
    /// The cosine of a vector of zeros is not a number there and 0 here (``VectorMetric/cosine``), so a distance of 1.
    func distance(_ metric: VectorMetric, of column: String) -> String {
        func apart(_ sign: String) -> String { "\(column) OPERATOR(\(schema).\(sign)) $1::\(type)" }
        switch metric {
        case .dot: return apart("<#>")
        case .l2: return apart("<->")
        case .cosine: return "coalesce(nullif(\(apart("<=>")), 'NaN'::float8), 1)"
        }
    }

    /// What a database says of the extension.
    enum Standing: Sendable, Equatable {
        case installed(PgvectorExtension)
        /// Why it cannot be used.
        case missing(String)

        var installed: PgvectorExtension? {
            if case .installed(let found) = self { found } else { nil }
        }
    }

    /// Looks for the extension, and installs it where it is there to be installed and the user may.
    static func find(_ connection: PostgresConnection, _ deadline: ContinuousClock.Instant) throws(ApusError) -> Standing {
        if let found = try installed(connection, deadline) { return .installed(found) }
        let offered = try connection.run("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'", deadline: deadline)
        guard !offered.isEmpty else { return .missing("the database has no pgvector") }
        do throws(ApusError) {
            try connection.run("CREATE EXTENSION IF NOT EXISTS vector", deadline: deadline)
        } catch {
            // Another server may have done it at the same moment.
            guard let refusal = error.cause as? PostgresRefusal, refusal.leavesConnection else { throw error }
            guard let found = try installed(connection, deadline) else {
                return .missing("pgvector is not installed in the database, and this user may not: \(refusal.text)")
            }
            return .installed(found)
        }
        guard let found = try installed(connection, deadline) else { return .missing("pgvector was not installed") }
        return .installed(found)
    }

    private static func installed(
        _ connection: PostgresConnection, _ deadline: ContinuousClock.Instant
    ) throws(ApusError) -> PgvectorExtension? {
        let row = try connection.run(
            """
            SELECT quote_ident(n.nspname), e.extversion, t.oid::bigint FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
            JOIN pg_type t ON t.typnamespace = n.oid AND t.typname = 'vector' WHERE e.extname = 'vector'
            """, deadline: deadline
        ).first
        guard let schema = row?.text(0), let version = row?.text(1), let number = row?.integer(2).flatMap(UInt32.init(exactly:)) else { return nil }
        return PgvectorExtension(schema: schema, version: version, typeNumber: number)
    }
}
