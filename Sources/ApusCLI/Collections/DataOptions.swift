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
        let environment = ProcessInfo.processInfo.environment
        let named = data ?? environment["APUS_DATA"].flatMap { $0.isEmpty ? nil : $0 }
        return try DataFolder.open(named, environment: environment, access: access)
    }
}

extension CollectionName: ExpressibleByArgument {
    package init?(argument: String) {
        try? self.init(argument)
    }
}

extension VectorMetric: ExpressibleByArgument {}
extension VectorStorage: ExpressibleByArgument {}
