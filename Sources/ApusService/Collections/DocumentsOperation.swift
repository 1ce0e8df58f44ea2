import ApusErrors
import ApusStores

/// Stored documents: looked at one by one or page by page, and deleted.
struct DocumentsOperation: Sendable {
    let run: CollectionRun
    /// When the answer stops being of use; nil for never.
    let deadline: ContinuousClock.Instant?

    /// Documents that are read from the store at once: their texts may have a megabyte each.
    private static let portion = 64

    /// A page of at most as many documents as asked, fewer where they are too much for one answer.
    func list(_ listing: DocumentListing, of name: CollectionName) async throws -> DocumentPage {
        guard DocumentListing.limits.contains(listing.limit) else {
            throw ApusError(
                .invalidValue, "\(listing.limit) is outside \(DocumentListing.limits.lowerBound) to \(DocumentListing.limits.upperBound)",
                place: "limit")
        }
        return try await run.run(.read, until: deadline) { store in
            var page = DocumentPage(documents: [], next: nil)
            var (rest, bytes) = (listing, 0)
            repeat {
                rest.limit = min(Self.portion, listing.limit - page.documents.count)
                let part = try await store.list(rest, of: name)
                page.documents += part.documents
                page.next = part.next
                rest.after = part.next
                bytes = part.documents.reduce(bytes) { $0 &+ $1.bytes }
            } while page.next != nil && page.documents.count < listing.limit && bytes < run.limits.maxAnswerBytes
            return page
        }
    }

    func find(_ id: String, in name: CollectionName, _ parts: DocumentParts) async throws -> StoredDocument {
        try DocumentBatch.checkID(id, place: "id")
        let found = try await run.run(.read, until: deadline) { try await $0.documents([id], of: name, including: parts) }
        guard let document = found.first ?? nil else { throw Self.unknown(id, name) }
        return document
    }

    func delete(_ id: String, from name: CollectionName) async throws {
        try DocumentBatch.checkID(id, place: "id")
        guard try await delete(.ids([id]), from: name) > 0 else { throw Self.unknown(id, name) }
    }

    /// - Returns: how many there were.
    func delete(_ selection: DocumentSelection, from name: CollectionName) async throws -> Int {
        if case .ids(let ids) = selection {
            try run.runs.checkCount(ids.count, of: "ids", for: "delete")
            for (index, id) in ids.enumerated() { try DocumentBatch.checkID(id, place: "ids[\(index)]") }
        }
        return try await run.run(.delete, through: run.writes, until: deadline) { store in
            let count = try await store.delete(selection, from: name)
            run.metrics.count(.deleted, count)
            return count
        }
    }

    private static func unknown(_ id: String, _ name: CollectionName) -> ApusError {
        ApusError(.documentNotFound, "there is no document \(ClientText.quoted(id)) in '\(name)'", place: "id")
    }
}

extension StoredDocument {
    /// What it takes of an answer, about.
    var bytes: Int { id.utf8.count + (text?.utf8.count ?? 0) + (metadata?.encoded.count ?? 0) + (vector?.count ?? 0) * 12 }
}
