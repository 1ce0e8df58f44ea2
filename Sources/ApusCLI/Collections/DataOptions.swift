import ApusErrors
package import ApusStores
package import ApusVectors
import ArgumentParser
import Foundation

/// Where collections lie, shared by every command that uses them.
struct DataOptions: ParsableArguments {
    @Option(help: "The folder with the collections, or the postgres:// address of a database that several servers share. (default: APUS_DATA, else apus in the XDG data folder)")
    var data: String?

    /// The collections. Throws `store_unavailable` where another process writes into the folder or it cannot be used.
    func collections(_ access: LocalCollections.Access) throws(ApusError) -> any CollectionStore {
        try DataFolder.open(named, environment: Self.environment, access: access, libpq: Self.environment["APUS_LIBPQ"].flatMap { $0.isEmpty ? nil : $0 })
    }

    /// The collections in files, to be written by this process alone. Throws `invalid_value` for those in a database.
    func files() throws(ApusError) -> LocalCollections {
        if let named, PostgresSettings.isURL(named) {
            throw ApusError(
                .invalidValue, "collections in a database are whole or not as the database is", place: "--data",
                advice: "Use PostgreSQL's own means: pg_amcheck, and a copy to restore from")
        }
        return try LocalCollections(folder: DataFolder.path(named, environment: Self.environment), engine: CPUVectorSearch())
    }

    private var named: String? { data ?? Self.environment["APUS_DATA"].flatMap { $0.isEmpty ? nil : $0 } }

    private static var environment: [String: String] { ProcessInfo.processInfo.environment }
}

extension CollectionName: ExpressibleByArgument {
    package init?(argument: String) {
        try? self.init(argument)
    }
}

extension VectorMetric: ExpressibleByArgument {}
extension VectorStorage: ExpressibleByArgument {}
