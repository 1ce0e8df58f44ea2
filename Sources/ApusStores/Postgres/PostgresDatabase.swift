import ApusErrors

/// What a database can do, as it was when it was reached.
struct PostgresDatabase: Sendable {
    /// Whether its texts are UTF-8, as metadata are.
    let isUTF8: Bool
    var pgvector: PgvectorExtension.Standing

    init(_ connection: PostgresConnection, _ deadline: ContinuousClock.Instant) throws(ApusError) {
        let encoding = try connection.run("SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()", deadline: deadline)
        isUTF8 = encoding.first?.text(0) == "UTF8"
        pgvector = try PgvectorExtension.find(connection, deadline)
    }

    /// For the log.
    var text: String {
        switch pgvector {
        case .installed(let found): "pgvector \(found.version) searches collections that are made from now on"
        case .missing(let reason): "\(reason): every search reads all vectors of its collection, which is slow for large ones"
        }
    }
}
