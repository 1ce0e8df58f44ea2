/// A document as a store gives it back.
package struct StoredDocument: Sendable {
    package var id: String
    /// nil where it has none and where texts were not asked for.
    package var text: String?
    /// nil where metadata was not asked for.
    package var metadata: Metadata?
    /// As it was stored; nil where vectors were not asked for.
    package var vector: [Float]?

    package init(id: String, text: String? = nil, metadata: Metadata? = nil, vector: [Float]? = nil) {
        (self.id, self.text, self.metadata, self.vector) = (id, text, metadata, vector)
    }
}

/// What of documents is wanted beside their ids.
package struct DocumentParts: OptionSet, Sendable, Hashable {
    package let rawValue: Int

    package init(rawValue: Int) { self.rawValue = rawValue }

    package static let text = DocumentParts(rawValue: 1)
    package static let metadata = DocumentParts(rawValue: 2)
    package static let vector = DocumentParts(rawValue: 4)
}
