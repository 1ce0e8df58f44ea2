import ApusConfiguration
import ApusErrors
import ApusStores
import Dispatch
import Logging

extension ServeSettings {
    /// The collections that are served, none of them opened yet.
    func collections(environment: [String: String]) -> ServedCollections {
        let named = configuration.dataDirectory
        return ServedCollections(logger: Logger(label: "apus.collections")) { () async throws(ApusError) in
            let result = await withCheckedContinuation { continuation in
                // Making folders and taking the lock waits for the disk.
                DispatchQueue.global().async {
                    continuation.resume(
                        returning: Result { () throws(ApusError) in try DataFolder.open(named, environment: environment) })
                }
            }
            return try result.get()
        }
    }
}
