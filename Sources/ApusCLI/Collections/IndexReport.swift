import ApusJSON
import ApusStores

/// What an indexing did.
struct IndexReport: Sendable {
    var collection: String
    var model: String
    var added = 0
    var replaced = 0
    /// Stored as they are already, and not computed again.
    var unchanged = 0
    /// Chunks of files that have fewer now.
    var removed = 0
    /// Lines without a text.
    var empty = 0
    /// Texts of which the model saw only the beginning.
    var truncated = 0
    /// Documents of the collection afterwards.
    var documents = 0
    var seconds = 0.0

    var text: String {
        var text = "\(collection): \(added) added, \(replaced) replaced, \(unchanged) unchanged"
        if removed > 0 { text += ", \(removed) removed" }
        if empty > 0 { text += ", \(empty) empty lines passed over" }
        if truncated > 0 { text += ", \(truncated) cut to what \(model) takes" }
        return text + "; \(documents) documents, \(Figures.number(seconds)) s\n"
    }

    var json: [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("collection", collection)
        writer.member("model", model)
        writer.member("added", added)
        writer.member("replaced", replaced)
        writer.member("unchanged", unchanged)
        writer.member("removed", removed)
        writer.member("empty", empty)
        writer.member("truncated", truncated)
        writer.member("documents", documents)
        writer.key("seconds")
        writer.number(seconds)
        writer.endObject()
        return writer.bytes
    }
}
