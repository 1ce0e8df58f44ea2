package import ApusErrors
package import ApusVectors

/// Documents that may be stored together: what every store checks before it writes.
package struct DocumentBatch: Sendable {
    package let documents: [Document]
    /// Their vectors, in their order.
    package let vectors: VectorRows

    /// Documents in one write.
    package static let maxDocuments = 10_000

    /// Throws, with the place `documents[3].vector`, `invalid_value` for a bad id, an id that comes twice, a vector of other dimensions and
    /// one that cannot be stored, `string_above_max_length` for a text or metadata too long, and `array_above_max_length` for too many
    /// documents.
    package init(_ documents: [Document], for settings: CollectionSettings) throws(ApusError) {
        guard documents.count <= Self.maxDocuments else {
            throw ApusError(
                .arrayTooLong, "\(documents.count) documents are more than \(Self.maxDocuments) in one write", place: "documents")
        }
        var seen: Set<[UInt8]> = []
        var values: [Float] = []
        values.reserveCapacity(documents.count * settings.dimensions)
        for (index, document) in documents.enumerated() {
            try Self.checkID(document.id, place: "documents[\(index)].id")
            guard seen.insert(Array(document.id.utf8)).inserted else {
                throw ApusError(
                    .invalidValue, "the id '\(document.id)' comes twice in one write", place: "documents[\(index)].id")
            }
            if let text = document.text, text.utf8.count > Document.maxTextBytes {
                throw ApusError(
                    .stringTooLong, "the text has \(text.utf8.count) bytes, \(Document.maxTextBytes) are allowed",
                    place: "documents[\(index)].text")
            }
            guard document.vector.count == settings.dimensions else {
                throw ApusError(
                    .invalidValue,
                    "the vector has \(document.vector.count) dimensions, those of the collection have \(settings.dimensions)",
                    place: "documents[\(index)].vector")
            }
            values += document.vector
        }
        vectors = try VectorRows(values, dimensions: settings.dimensions)
        if let unfit = vectors.firstUnfit(for: settings.storage) {
            throw ApusError(.invalidValue, unfit.reason, place: "documents[\(unfit.row)].vector", advice: unfit.advice)
        }
        self.documents = documents
    }

    /// Throws `invalid_value` for an id of no or too many bytes or with control characters.
    package static func checkID(_ id: String, place: String) throws(ApusError) {
        guard (1...Document.maxIDBytes).contains(id.utf8.count) else {
            throw ApusError(.invalidValue, "an id has 1 to \(Document.maxIDBytes) bytes, not \(id.utf8.count)", place: place)
        }
        guard id.unicodeScalars.allSatisfy({ $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }) else {
            throw ApusError(.invalidValue, "an id has no control characters", place: place)
        }
    }
}
