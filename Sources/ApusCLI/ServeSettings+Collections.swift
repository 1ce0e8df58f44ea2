import ApusConfiguration
import ApusErrors
import ApusStores
import ApusVectors
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
                        returning: Result { () throws(ApusError) in
                            try LocalCollections(folder: try DataFolder.path(named, environment: environment), engine: try CPUVectorSearch())
                        })
                }
            }
            return try result.get()
        }
    }
}
