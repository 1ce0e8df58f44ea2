/// Where the vectors of a collection lie and what searches them. Every search is exact, whichever it is.
package enum CollectionBackend: String, Sendable, Hashable, CaseIterable {
    /// Mapped files of this machine, scanned by Apus' kernels.
    case files
    /// Byte strings in a PostgreSQL, read whole for each search and scanned by Apus' kernels: right, and slow for large collections.
    case postgresql
    /// Columns of pgvector's type in a PostgreSQL, searched there.
    case pgvector = "postgresql+pgvector"

    /// For people.
    package var explanation: String {
        switch self {
        case .files: "files of this machine, scanned by Apus"
        case .postgresql: "PostgreSQL without pgvector: every search reads all vectors; slow for large collections"
        case .pgvector: "PostgreSQL, searched by pgvector, exactly (no index)"
        }
    }
}
