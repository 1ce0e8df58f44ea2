import ApusErrors
import ApusJSON
import ApusStores

/// One text to store, as its source names it.
struct IndexedText: Sendable {
    var id: String
    var text: String
    var metadata: Metadata

    /// The same id, text and metadata, so that the vector that is stored is the text's.
    func isStored(as document: StoredDocument?) -> Bool {
        guard let document, let text = document.text, let metadata = document.metadata else { return false }
        return text.hasSameBytes(as: self.text) && metadata.encoded == self.metadata.encoded
    }

    /// Metadata that say where a text comes from: `{"source":"notes.md","chunk":3}`.
    static func origin(_ source: String, _ name: String, _ number: Int) throws(ApusError) -> Metadata {
        var object = JSONObject()
        _ = object.append("source", .string(source))
        _ = object.append(name, .integer(Int64(number)))
        return try Metadata(object)
    }
}
