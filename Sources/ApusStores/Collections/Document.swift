/// A document to store. What is allowed is checked where it is stored, by ``DocumentBatch``.
package struct Document: Sendable {
    /// 1 to ``maxIDBytes`` bytes without control characters; compared by bytes.
    package var id: String
    /// At most ``maxTextBytes``.
    package var text: String?
    package var metadata: Metadata
    /// As many finite elements as the collection has dimensions.
    package var vector: [Float]

    package static let maxIDBytes = 512
    package static let maxTextBytes = 1 << 20

    package init(id: String, text: String? = nil, metadata: Metadata = .empty, vector: [Float]) {
        (self.id, self.text, self.metadata, self.vector) = (id, text, metadata, vector)
    }
}
