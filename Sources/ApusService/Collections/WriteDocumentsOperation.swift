import ApusErrors
package import ApusStores
import Crypto

/// What a client asks for: documents to be stored.
package struct WriteDocumentsRequest: Sendable {
    package struct Item: Sendable {
        /// Nil for one that is made from what the document holds.
        package var id: String?
        package var text: String?
        package var metadata: Metadata
        /// Nil for that which the collection's model makes of the text.
        package var vector: [Float]?

        package init(id: String? = nil, text: String? = nil, metadata: Metadata = .empty, vector: [Float]? = nil) {
            (self.id, self.text, self.metadata, self.vector) = (id, text, metadata, vector)
        }
    }

    package var collection: CollectionName
    package var items: [Item]
    package var mode: WriteMode
    package var options: EmbeddingOptions

    package init(collection: CollectionName, items: [Item], mode: WriteMode = .upsert, options: EmbeddingOptions = EmbeddingOptions()) {
        (self.collection, self.items, self.mode, self.options) = (collection, items, mode, options)
    }
}

package struct WriteDocumentsReply: Sendable {
    /// One for each document, in their order.
    package let ids: [String]
    package let receipt: WriteReceipt
    /// The model that made vectors; nil where none had to be made.
    package let model: ModelDescription?
    /// One account for each text that was embedded, in their order.
    package let provenance: [EmbeddingProvenance]
    package let summary: ProvenanceSummary
}

/// Documents to a collection: all are stored, or none.
struct WriteDocumentsOperation: Sendable {
    let run: CollectionRun

    func run(_ request: WriteDocumentsRequest) async throws -> WriteDocumentsReply {
        let (items, name) = (request.items, request.collection)
        try run.runs.checkCount(items.count, of: "documents", for: "store")
        let settings = try await run.run(.write, until: request.options.deadline) { try await $0.describe(name) }.settings
        let ids = try ids(of: items, settings)
        var texts: [(index: Int, text: String)] = []
        for (index, item) in items.enumerated() where item.vector == nil {
            guard let text = item.text else {
                throw ApusError(.invalidValue, "a text or a vector is wanted", place: "documents[\(index)]")
            }
            try run.runs.check(text, named: "the text of document \(index)", at: "documents[\(index)].text")
            texts.append((index, text))
        }
        var vectors = items.map { $0.vector ?? [] }
        var model: (any EmbeddingModel)?
        var outcome: ModelRun.Outcome?
        if let first = texts.first {
            let made = try run.model(of: settings, name, place: "documents[\(first.index)].vector")
            let names = InputNames(texts.map { .init(field: "documents[\($0.index)].text", noun: "text of document \($0.index)", count: 1, isSingle: true) })
            let embedded = try await run.vectors(
                of: texts.map(\.text), names, by: made, dimensions: settings.dimensions, request.options)
            for (row, vector) in zip(texts, embedded.batch.rows) { vectors[row.index] = Array(vector) }
            (model, outcome) = (made, embedded)
        } else {
            try run.charge(request.options)
        }
        let documents = Self.documents(items, ids, vectors)
        let receipt = try await run.run(.write, through: run.writes, until: request.options.deadline) { store in
            let start = ContinuousClock.now
            let receipt = try await store.write(documents, request.mode, into: name)
            run.metrics.wrote(added: receipt.added, replaced: receipt.replaced, start.duration(to: .now))
            return receipt
        }
        return WriteDocumentsReply(
            ids: ids, receipt: receipt, model: model?.description, provenance: outcome?.batch.provenance ?? [],
            summary: outcome?.summary ?? ProvenanceSummary([]))
    }

    /// Checked before anything is embedded: what a store would refuse should not cost a batch.
    private func ids(of items: [WriteDocumentsRequest.Item], _ settings: CollectionSettings) throws(ApusError) -> [String] {
        var seen: Set<[UInt8]> = []
        var ids: [String] = []
        for (index, item) in items.enumerated() {
            if let vector = item.vector, vector.count != settings.dimensions {
                throw ApusError(
                    .invalidValue, "the vector has \(vector.count) dimensions, those of the collection have \(settings.dimensions)",
                    place: "documents[\(index)].vector")
            }
            guard let id = item.id else {
                ids.append(Self.id(of: item))
                continue
            }
            try DocumentBatch.checkID(id, place: "documents[\(index)].id")
            guard seen.insert(Array(id.utf8)).inserted else {
                throw ApusError(.invalidValue, "the id \(ClientText.quoted(id)) comes twice in one request", place: "documents[\(index)].id")
            }
            ids.append(id)
        }
        return ids
    }

    /// An id that equal documents share, so that a request that is sent again adds nothing: SHA-256, in half, over text, metadata and vector.
    private static func id(of item: WriteDocumentsRequest.Item) -> String {
        var hash = SHA256()
        for part in [Array((item.text ?? "").utf8), item.metadata.encoded] {
            withUnsafeBytes(of: UInt64(part.count).littleEndian) { hash.update(bufferPointer: $0) }
            hash.update(data: part)
        }
        for element in item.vector ?? [] { withUnsafeBytes(of: element.bitPattern.littleEndian) { hash.update(bufferPointer: $0) } }
        let digits = hash.finalize().prefix(16).map { byte in
            let digits = String(byte, radix: 16)
            return byte < 16 ? "0" + digits : digits
        }
        return "sha256-" + digits.joined()
    }

    /// Documents without an id that are equal are one document.
    private static func documents(_ items: [WriteDocumentsRequest.Item], _ ids: [String], _ vectors: [[Float]]) -> [Document] {
        var made: Set<String> = []
        var documents: [Document] = []
        for (index, item) in items.enumerated() {
            if item.id == nil, !made.insert(ids[index]).inserted { continue }
            documents.append(Document(id: ids[index], text: item.text, metadata: item.metadata, vector: vectors[index]))
        }
        return documents
    }
}
