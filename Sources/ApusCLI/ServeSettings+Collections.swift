import ApusConfiguration
import ApusErrors
import ApusStores
import Dispatch
import Logging

extension ServeSettings {
    /// The collections that are served, none of them opened yet.
    func collections(environment: [String: String]) -> ServedCollections {
        let (named, collections) = (configuration.dataDirectory, configuration.collections)
        let logger = Logger(label: "apus.collections")
        return ServedCollections(logger: logger) { () async throws(ApusError) in
            let compaction =
                collections.compactAt > 0 ? try CompactionPolicy(share: collections.compactAt, minimum: collections.compactMinimum) : nil
            let result = await withCheckedContinuation { continuation in
                // Making folders and taking the lock waits for the disk.
                DispatchQueue.global().async {
                    continuation.resume(
                        returning: Result { () throws(ApusError) in
                            try DataFolder.open(
                                named, environment: environment, libpq: collections.libpq, compaction: compaction,
                                observer: { CollectionEvents(logger: logger).tell($0) })
                        })
                }
            }
            return try result.get()
        }
    }
}
