/// Which documents a page is to show.
package struct DocumentListing: Sendable {
    package var filter: MetadataFilter?
    /// Only ids behind this one.
    package var after: String?
    package var limit: Int
    package var parts: DocumentParts

    package static let limits = 1...1_000

    package init(filter: MetadataFilter? = nil, after: String? = nil, limit: Int = 100, parts: DocumentParts = [.text, .metadata]) {
        (self.filter, self.after, self.limit, self.parts) = (filter, after, limit, parts)
    }
}

/// Documents in the order of their ids' bytes.
package struct DocumentPage: Sendable {
    package var documents: [StoredDocument]
    /// What ``DocumentListing/after`` is for the next page; nil on the last.
    package var next: String?

    package init(documents: [StoredDocument], next: String?) {
        (self.documents, self.next) = (documents, next)
    }
}
