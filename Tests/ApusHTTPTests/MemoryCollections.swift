import ApusErrors
import ApusService
import ApusStores
import ApusVectors
import Synchronization

/// Collections that are forgotten with the process, whose search is a loop: what the routes are tested against.
final class MemoryCollections: CollectionStore {
    private struct Collection: Sendable {
        var description: CollectionDescription
        var documents: [Document] = []
    }

    private let collections = Mutex<[CollectionName: Collection]>([:])
    /// Holds searches until it is opened. Nil: answers at once.
    let gate: Gate?

    init(gate: Gate? = nil) {
        self.gate = gate
    }

    private func change<Value>(
        _ name: CollectionName, _ body: (inout Collection) throws(ApusError) -> Value
    ) throws(ApusError) -> Value {
        let result: Result<Value, ApusError> = collections.withLock { collections in
            guard var collection = collections[name] else {
                return .failure(ApusError(.collectionNotFound, "there is no collection '\(name)'", place: "collection"))
            }
            do throws(ApusError) {
                let value = try body(&collection)
                collections[name] = collection
                return .success(value)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    func names() async throws(ApusError) -> [CollectionName] {
        // One that cannot be opened.
        collections.withLock { $0.keys.sorted() } + [try CollectionName("zz-corrupt")]
    }

    func create(_ name: CollectionName, _ settings: CollectionSettings) async throws(ApusError) -> CollectionDescription {
        let made = CollectionDescription(
            name: name, settings: settings, documents: 0, bytes: 10, deleted: 0, createdAt: 1_700_000_000_500)
        let isNew = collections.withLock { collections in
            guard collections[name] == nil else { return false }
            collections[name] = Collection(description: made)
            return true
        }
        guard isNew else { throw ApusError(.collectionExists, "there is a collection '\(name)' already", place: "name") }
        return made
    }

    func describe(_ name: CollectionName) async throws(ApusError) -> CollectionDescription {
        if name.text == "zz-corrupt" { throw ApusError(.storeCorrupt, "the vectors do not read back", place: "/secret/folder/vectors.bin") }
        return try change(name) { collection in
            collection.description.documents = collection.documents.count
            return collection.description
        }
    }

    func drop(_ name: CollectionName) async throws(ApusError) {
        _ = try await describe(name)
        collections.withLock { $0[name] = nil }
    }

    func write(_ documents: [Document], _ mode: WriteMode, into name: CollectionName) async throws(ApusError) -> WriteReceipt {
        try change(name) { collection throws(ApusError) in
            let batch = try DocumentBatch(documents, for: collection.description.settings)
            var receipt = WriteReceipt(added: 0, replaced: 0)
            for document in batch.documents {
                let old = collection.documents.firstIndex { $0.id.utf8.elementsEqual(document.id.utf8) }
                if let old {
                    guard mode == .upsert else {
                        throw ApusError(.documentExists, "there is a document '\(document.id)' already", place: "documents")
                    }
                    collection.documents.remove(at: old)
                    collection.description.deleted += 1
                    receipt.replaced += 1
                } else {
                    receipt.added += 1
                }
                collection.documents.append(document)
            }
            return receipt
        }
    }

    private static func stored(_ document: Document, _ parts: DocumentParts) -> StoredDocument {
        StoredDocument(
            id: document.id, text: parts.contains(.text) ? document.text : nil, metadata: parts.contains(.metadata) ? document.metadata : nil,
            vector: parts.contains(.vector) ? document.vector : nil)
    }

    func documents(
        _ ids: [String], of name: CollectionName, including parts: DocumentParts
    ) async throws(ApusError) -> [StoredDocument?] {
        try change(name) { collection in
            ids.map { id in
                collection.documents.first { $0.id.utf8.elementsEqual(id.utf8) }.map { Self.stored($0, parts) }
            }
        }
    }

    func list(_ listing: DocumentListing, of name: CollectionName) async throws(ApusError) -> DocumentPage {
        try change(name) { collection in
            let sorted = collection.documents.filter { listing.filter?.matches($0.metadata) ?? true }
                .filter { document in listing.after.map { $0.utf8.lexicographicallyPrecedes(document.id.utf8) } ?? true }
                .sorted { $0.id.utf8.lexicographicallyPrecedes($1.id.utf8) }
            let page = sorted.prefix(listing.limit).map { Self.stored($0, listing.parts) }
            return DocumentPage(documents: page, next: sorted.count > page.count ? page.last?.id : nil)
        }
    }

    func delete(_ selection: DocumentSelection, from name: CollectionName) async throws(ApusError) -> Int {
        try change(name) { collection in
            let before = collection.documents.count
            collection.documents.removeAll { document in
                switch selection {
                case .ids(let ids): ids.contains { $0.utf8.elementsEqual(document.id.utf8) }
                case .filter(let filter): filter.matches(document.metadata)
                }
            }
            return before - collection.documents.count
        }
    }

    /// Scores are dot products.
    func search(_ search: CollectionSearch, in name: CollectionName) async throws(ApusError) -> [[CollectionHit]] {
        if let gate {
            do { try await gate.pass() } catch { throw ApusError(.cancelled, "the search was called off") }
        }
        return try change(name) { collection in
            (0..<search.queries.count).map { row in
                let query = search.queries.values[row * search.queries.dimensions..<(row + 1) * search.queries.dimensions]
                let hits = collection.documents.filter { search.filter?.matches($0.metadata) ?? true }.map { document in
                    CollectionHit(
                        document: Self.stored(document, search.parts), score: zip(query, document.vector).reduce(0) { $0 + $1.0 * $1.1 })
                }
                return Array(hits.sorted { $0.score > $1.score }.prefix(search.k))
            }
        }
    }

    func compact(_ name: CollectionName) async throws(ApusError) -> CompactionReport {
        try change(name) { collection in
            let removed = collection.description.deleted
            collection.description.deleted = 0
            return CompactionReport(removed: removed, bytesBefore: 20, bytesAfter: 10)
        }
    }

    func close() async {}
}

/// A store that is there, or the reason why it is not.
struct ScriptedSource: CollectionSource {
    let opened: Result<MemoryCollections, ApusError>

    func store() async throws(ApusError) -> any CollectionStore { try opened.get() }
}
