import ApusJSON
import ApusService
import ApusStores
import ApusVectors

/// The answers of `/v1/collections` and what lies under it.
enum CollectionsAnswer {
    static func list(_ collections: [ListedCollection]) -> [UInt8] {
        var writer = JSONWriter(capacity: 256 + collections.count * 256)
        writer.beginObject()
        writer.member("object", "list")
        writer.key("data")
        writer.beginArray()
        for collection in collections {
            switch collection.outcome {
            case .success(let description): append(description, to: &writer)
            case .failure(let error):
                writer.beginObject()
                writer.member("object", "error")
                writer.member("name", collection.name.text)
                writer.key("error")
                writer.error(error)
                writer.endObject()
            }
        }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }

    static func one(_ collection: CollectionDescription) -> [UInt8] {
        var writer = JSONWriter()
        append(collection, to: &writer)
        return writer.bytes
    }

    static func dropped(_ name: CollectionName) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("object", "collection")
        writer.member("name", name.text)
        writer.member("deleted", true)
        writer.endObject()
        return writer.bytes
    }

    static func written(_ reply: WriteDocumentsReply, into name: CollectionName, provenance: Bool) -> [UInt8] {
        var writer = JSONWriter(capacity: 256 + reply.ids.count * 48)
        writer.beginObject()
        writer.member("object", "write")
        writer.member("collection", name.text)
        writer.member("added", reply.receipt.added)
        writer.member("replaced", reply.receipt.replaced)
        writer.key("ids")
        writer.beginArray()
        for id in reply.ids { writer.string(id) }
        writer.endArray()
        account(reply.model, reply.summary, reply.provenance, isTold: provenance, to: &writer)
        writer.endObject()
        return writer.bytes
    }

    static func deleted(_ count: Int, from name: CollectionName) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("object", "deletion")
        writer.member("collection", name.text)
        writer.member("deleted", count)
        writer.endObject()
        return writer.bytes
    }

    static func compacted(_ report: CompactionReport, _ name: CollectionName) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("object", "compaction")
        writer.member("collection", name.text)
        writer.member("removed", report.removed)
        writer.member("bytes_before", report.bytesBefore)
        writer.member("bytes_after", report.bytesAfter)
        writer.endObject()
        return writer.bytes
    }

    static func document(_ document: StoredDocument) -> [UInt8] {
        var writer = JSONWriter(capacity: 256)
        writer.beginObject()
        append(document, to: &writer)
        writer.endObject()
        return writer.bytes
    }

    static func page(_ page: DocumentPage) -> [UInt8] {
        var writer = JSONWriter(capacity: 256 + page.documents.count * 256)
        writer.beginObject()
        writer.member("object", "list")
        writer.key("data")
        writer.beginArray()
        for document in page.documents {
            writer.beginObject()
            append(document, to: &writer)
            writer.endObject()
        }
        writer.endArray()
        writer.key("next")
        if let next = page.next { writer.string(next) } else { writer.null() }
        writer.endObject()
        return writer.bytes
    }

    static func found(_ reply: SearchReply, in name: CollectionName, provenance: Bool) -> [UInt8] {
        var writer = JSONWriter(capacity: 256 + reply.hits.reduce(0) { $0 + $1.count * 256 })
        writer.beginObject()
        writer.member("object", "list")
        writer.member("collection", name.text)
        writer.key("data")
        writer.beginArray()
        for (index, hits) in reply.hits.enumerated() {
            writer.beginObject()
            writer.member("object", "search_result")
            writer.member("index", index)
            writer.key("hits")
            writer.beginArray()
            for hit in hits {
                writer.beginObject()
                append(hit.document, to: &writer)
                writer.key("score")
                writer.number(hit.score)
                writer.endObject()
            }
            writer.endArray()
            writer.endObject()
        }
        writer.endArray()
        account(reply.model, reply.summary, reply.provenance, isTold: provenance, to: &writer)
        writer.endObject()
        return writer.bytes
    }

    /// The members that tell of the model that made vectors of texts: null and no tokens where none did.
    private static func account(
        _ model: ModelDescription?, _ summary: ProvenanceSummary, _ provenance: [EmbeddingProvenance], isTold: Bool, to writer: inout JSONWriter
    ) {
        writer.key("model")
        if let model { writer.string(model.id) } else { writer.null() }
        writer.usage(tokens: summary.tokens)
        if isTold { writer.provenance(provenance, failures: [:]) }
    }

    private static func append(_ collection: CollectionDescription, to writer: inout JSONWriter) {
        let settings = collection.settings
        writer.beginObject()
        writer.member("object", "collection")
        writer.member("name", collection.name.text)
        // Seconds, as OpenAI's objects have it.
        writer.member("created", collection.createdAt / 1000)
        writer.member("dimensions", settings.dimensions)
        writer.member("metric", settings.metric.rawValue)
        writer.member("storage", settings.storage.rawValue)
        writer.key("model")
        if let model = settings.model { writer.string(model) } else { writer.null() }
        writer.key("weights_sha256")
        if let weights = settings.weights { writer.string(weights) } else { writer.null() }
        writer.member("documents", collection.documents)
        writer.member("deleted", collection.deleted)
        writer.member("bytes", collection.bytes)
        writer.member("backend", collection.backend.rawValue)
        writer.endObject()
    }

    /// The members of a document, of those that it has and that were asked for.
    private static func append(_ document: StoredDocument, to writer: inout JSONWriter) {
        writer.member("object", "document")
        writer.member("id", document.id)
        if let text = document.text { writer.member("text", text) }
        if let metadata = document.metadata {
            writer.key("metadata")
            writer.value(.object(metadata.object))
        }
        if let vector = document.vector {
            writer.key("vector")
            writer.numbers(vector)
        }
    }
}
