import ApusErrors
import ApusService
import ApusStores
import ApusVectors
import MetricsTestKit
import Synchronization
import Testing

@Suite("Collections in the service")
struct CollectionTests {
    /// One collection of two dimensions, which remembers what it was given.
    private final class OneCollection: CollectionStore, CollectionSource {
        private let settings: CollectionSettings
        private let seen = Mutex<(documents: [Document], searches: [CollectionSearch])>(([], []))
        /// What a search throws.
        let failure: ApusError?

        init(_ settings: CollectionSettings, failure: ApusError? = nil) {
            self.settings = settings
            self.failure = failure
        }

        var documents: [Document] { seen.withLock { $0.documents } }
        var searches: [CollectionSearch] { seen.withLock { $0.searches } }

        func store() async throws(ApusError) -> any CollectionStore { self }
        func names() async throws(ApusError) -> [CollectionName] { [] }

        func create(_ name: CollectionName, _ settings: CollectionSettings) async throws(ApusError) -> CollectionDescription {
            CollectionDescription(name: name, settings: settings, documents: 0, bytes: 0, deleted: 0, createdAt: 0)
        }

        func describe(_ name: CollectionName) async throws(ApusError) -> CollectionDescription { try await create(name, settings) }
        func drop(_ name: CollectionName) async throws(ApusError) {}

        func write(_ documents: [Document], _ mode: WriteMode, into name: CollectionName) async throws(ApusError) -> WriteReceipt {
            seen.withLock { $0.documents += documents }
            return WriteReceipt(added: documents.count, replaced: 0)
        }

        func documents(
            _ ids: [String], of name: CollectionName, including parts: DocumentParts
        ) async throws(ApusError) -> [StoredDocument?] {
            // What was deleted after the search is not there any more.
            ids.map { $0 == "3" ? nil : StoredDocument(id: $0, text: "text of \($0)") }
        }

        func list(_ listing: DocumentListing, of name: CollectionName) async throws(ApusError) -> DocumentPage {
            let first = listing.after.flatMap { Int($0) }.map { $0 + 1 } ?? 0
            let documents = (first..<min(first + listing.limit, 500)).map { StoredDocument(id: "\($0)", text: String(repeating: "t", count: 1000)) }
            return DocumentPage(documents: documents, next: first + listing.limit < 500 ? documents.last?.id : nil)
        }

        func delete(_ selection: DocumentSelection, from name: CollectionName) async throws(ApusError) -> Int { 2 }

        func search(_ search: CollectionSearch, in name: CollectionName) async throws(ApusError) -> [[CollectionHit]] {
            if let failure { throw failure }
            seen.withLock { $0.searches.append(search) }
            return (0..<search.queries.count).map { _ in
                (0..<search.k).map { CollectionHit(document: StoredDocument(id: "\($0)"), score: Float(search.k - $0)) }
            }
        }

        func compact(_ name: CollectionName) async throws(ApusError) -> CompactionReport { CompactionReport(removed: 0, bytesBefore: 0, bytesAfter: 0) }
        func close() async {}
    }

    private func name() throws -> CollectionName { try CollectionName("notes") }
    private func settings() throws -> CollectionSettings { try CollectionSettings(dimensions: 2, model: "m", weights: "00") }

    /// Each text of n bytes becomes (n, 1).
    private func model(seen: @escaping @Sendable ([EmbeddingInput], EmbeddingOptions) -> Void = { _, _ in }) -> FixedModel {
        FixedModel { inputs, options in
            seen(inputs, options)
            let vectors = inputs.flatMap { input -> [Float] in if case .text(let text) = input { [Float(text.utf8.count), 1] } else { [] } }
            return EmbeddingBatch(vectors: vectors, dimensions: 2, provenance: inputs.map { _ in .plain() })
        }
    }

    @Test("Only texts without a vector are embedded, in one run, with the caller's priority, key and deadline, and never in part")
    func embedding() async throws {
        let asked = Mutex<[([EmbeddingInput], EmbeddingOptions)]>([])
        let store = OneCollection(try settings())
        let key = try AccessKey(name: "low", sha256: AccessKey.sha256(of: "k"), highestPriority: .low)
        let access = try AccessControl(keys: [key])
        let service = InferenceService(
            catalog: OneModel(model: model { inputs, options in asked.withLock { $0.append((inputs, options)) } }), collections: store, access: access)
        let deadline = ContinuousClock.now + .seconds(60)
        let request = WriteDocumentsRequest(
            collection: try name(),
            items: [.init(id: "a", text: "one"), .init(id: "b", text: "kept", vector: [7, 8]), .init(id: "c", text: "three")],
            options: EmbeddingOptions(deadline: deadline, priority: .high, partial: true))
        let reply = try await service.writeDocuments(request, for: try access.caller(presenting: "k"))
        let runs = asked.withLock { $0 }
        #expect(runs.count == 1 && runs[0].0 == [.text("one"), .text("three")])
        #expect(runs[0].1.priority == .low && runs[0].1.client?.name == "low" && runs[0].1.deadline == deadline && !runs[0].1.partial)
        #expect(store.documents.map(\.vector) == [[3, 1], [7, 8], [5, 1]] && store.documents.map(\.text) == ["one", "kept", "three"])
        #expect(reply.ids == ["a", "b", "c"] && reply.provenance.count == 2 && reply.summary.tokens == 6)
    }

    @Test("What a model says of the second text is said of the document it came from")
    func places() async throws {
        let model = FixedModel { _, _ in throw ApusError(.contextLengthExceeded, "long", place: "input[1]") }
        let service = InferenceService(catalog: OneModel(model: model), collections: OneCollection(try settings()))
        let items: [WriteDocumentsRequest.Item] = [.init(text: "a"), .init(vector: [1, 2]), .init(text: "b")]
        let error = await #expect(throws: ApusError.self) {
            try await service.writeDocuments(WriteDocumentsRequest(collection: try name(), items: items))
        }
        #expect(error?.place == "documents[2].text")
    }

    @Test("A key's requests are counted where no model runs, too")
    func keys() async throws {
        let key = try AccessKey(name: "slow", sha256: AccessKey.sha256(of: "k"), limits: .init(requestsPerMinute: 1))
        let access = try AccessControl(keys: [key])
        let start = ContinuousClock.now
        let service = InferenceService(
            catalog: OneModel(model: model()), collections: OneCollection(try settings()), access: access, now: { start })
        let caller = try access.caller(presenting: "k")
        let request = SearchRequest(collection: try name(), queries: .vectors([[1, 2]]))
        _ = try await service.search(request, for: caller)
        let error = await #expect(throws: ApusError.self) { try await service.search(request, for: caller) }
        #expect(error?.code == .rateLimitExceeded)
    }

    @Test("Many hits are filled portion by portion, those deleted meanwhile left out, and never more than an answer may hold")
    func manyHits() async throws {
        let store = OneCollection(try settings())
        let service = InferenceService(catalog: OneModel(model: model()), collections: store)
        var request = SearchRequest(collection: try name(), queries: .texts(["q"]), k: 300)
        let reply = try await service.search(request)
        #expect(reply.hits.count == 1 && reply.hits[0].count == 299 && reply.hits[0].allSatisfy { $0.document.text == "text of \($0.document.id)" })
        #expect(store.searches.map(\.parts) == [[]] && store.searches[0].queries.values == [1, 1])
        request.k = 10
        _ = try await service.search(request)
        #expect(store.searches.last?.parts == [.text, .metadata])
        request.k = 300
        let small = InferenceService(
            catalog: OneModel(model: model()), collections: store, collectionLimits: try CollectionLimits(maxAnswerBytes: 1000))
        let error = await #expect(throws: ApusError.self) { try await small.search(request) }
        #expect(error?.code == .invalidValue && error?.place == "k")
    }

    @Test("A page of long documents is shorter than asked, and the next one goes on behind it")
    func pages() async throws {
        let service = InferenceService(
            catalog: OneModel(model: model()), collections: OneCollection(try settings()),
            collectionLimits: try CollectionLimits(maxAnswerBytes: 100_000))
        let first = try await service.listDocuments(DocumentListing(limit: 400), of: try name())
        #expect(first.documents.count == 128 && first.next == "127")
        let rest = try await service.listDocuments(DocumentListing(after: "480", limit: 400), of: try name())
        #expect(rest.documents.map(\.id) == (481..<500).map(String.init) && rest.next == nil)
    }

    @Test("Searches, writes, documents and failures are counted")
    func metrics() async throws {
        let kit = TestMetrics()
        let failing = OneCollection(try settings(), failure: ApusError(.storeUnavailable, "no room", place: "/somewhere"))
        for store in [OneCollection(try settings()), failing] {
            let service = InferenceService(catalog: OneModel(model: model()), collections: store, metrics: ServiceMetrics(kit))
            _ = try await service.writeDocuments(
                WriteDocumentsRequest(collection: try name(), items: [.init(vector: [1, 2]), .init(vector: [3, 4])]))
            _ = try await service.deleteDocuments(.ids(["a"]), from: try name())
            let search = SearchRequest(collection: try name(), queries: .vectors([[1, 2], [1, 2], [1, 2]]))
            if store.failure == nil {
                _ = try await service.search(search)
            } else {
                let error = await #expect(throws: ApusError.self) { try await service.search(search) }
                #expect(error?.code == .storeUnavailable && error?.place == nil)
            }
        }
        #expect(try kit.expectCounter("apus_collections_documents_total", [("change", "added")]).totalValue == 4)
        #expect(try kit.expectCounter("apus_collections_documents_total", [("change", "deleted")]).totalValue == 4)
        #expect(try kit.expectCounter("apus_collections_queries_total", []).totalValue == 3)
        #expect(try kit.expectTimer("apus_collections_search_seconds", []).values.count == 1)
        #expect(try kit.expectTimer("apus_collections_write_seconds", []).values.count == 2)
        #expect(try kit.expectCounter("apus_collections_errors_total", [("operation", "search"), ("code", "store_unavailable")]).totalValue == 1)
    }
}
