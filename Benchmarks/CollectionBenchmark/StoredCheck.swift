import ApusErrors
import ApusStores
import ApusVectors

/// Tells every document as `ID VERSION`; a vector that is not that version's is an error. Searches for some of them by their vectors, and by a filter.
struct StoredCheck: Sendable {
    let folder: String

    func run() async throws {
        let name = try CollectionName(KilledWriter.collection)
        let store = try LocalCollections(folder: folder, engine: CPUVectorSearch(threads: 1))
        var after: String?
        var (count, wrong, even) = (0, 0, 0)
        repeat {
            let page = try await store.list(DocumentListing(after: after, limit: 1_000, parts: [.text, .metadata, .vector]), of: name)
            for document in page.documents {
                let version = document.text.flatMap { Int($0) } ?? -1
                let written = try MadeVector.document(id: document.id, version: version)
                if document.vector != written.vector || document.metadata?.encoded != written.metadata.encoded { wrong += 1 }
                if version % 2 == 0 { even += 1 }
                count += 1
                say("\(document.id) \(version)")
            }
            // The product with itself is far above that with any other of these vectors.
            for document in page.documents.enumerated().filter({ $0.offset % 97 == 0 }).map(\.element) {
                let hits = try await store.search(CollectionSearch(VectorRows([document.vector ?? []]), k: 1), in: name).first
                if hits?.first?.document.id != document.id { wrong += 1 }
            }
            after = page.next
        } while after != nil
        let filter = try MetadataFilter(parsing: Array(#"{"even":true}"#.utf8))
        let query = try VectorRows([MadeVector.values(id: "x", version: 0)])
        let found = try await store.search(CollectionSearch(query, k: 10_000, filter: filter, parts: []), in: name).first?.count ?? 0
        let description = try await store.describe(name)
        await store.close()
        guard found == min(10_000, even), description.documents == count else {
            throw ApusError(.storeCorrupt, "\(found) of \(even) documents pass the filter, \(count) of \(description.documents) are listed")
        }
        say("checked \(count) \(wrong)")
    }
}
