import ApusErrors
import ApusService
import ApusStores
import MetricsTestKit
import Testing

@Suite("Deadlines of collections", .timeLimit(.minutes(1)))
struct CollectionDeadlineTests {
    /// Answers nothing before it is given up.
    private struct Standstill: CollectionStore, CollectionSource {
        private func wait<Value>() async throws(ApusError) -> Value {
            while !Task.isCancelled { await Task.yield() }
            throw ApusError(.cancelled, "given up")
        }

        func store() async throws(ApusError) -> any CollectionStore { self }
        func names() async throws(ApusError) -> [CollectionName] { try await wait() }
        func create(_ name: CollectionName, _ settings: CollectionSettings) async throws(ApusError) -> CollectionDescription { try await wait() }
        func describe(_ name: CollectionName) async throws(ApusError) -> CollectionDescription { try await wait() }
        func drop(_ name: CollectionName) async throws(ApusError) { try await wait() as Void }
        func write(_ documents: [Document], _ mode: WriteMode, into name: CollectionName) async throws(ApusError) -> WriteReceipt { try await wait() }
        func documents(_ ids: [String], of name: CollectionName, including parts: DocumentParts) async throws(ApusError) -> [StoredDocument?] {
            try await wait()
        }
        func list(_ listing: DocumentListing, of name: CollectionName) async throws(ApusError) -> DocumentPage { try await wait() }
        func delete(_ selection: DocumentSelection, from name: CollectionName) async throws(ApusError) -> Int { try await wait() }
        func search(_ search: CollectionSearch, in name: CollectionName) async throws(ApusError) -> [[CollectionHit]] { try await wait() }
        func compact(_ name: CollectionName) async throws(ApusError) -> CompactionReport { try await wait() }
        func close() async {}
    }

    @Test("Whatever is asked of a collection that does not answer ends at the request's deadline")
    func everyOperation() async throws {
        let kit = TestMetrics()
        let name = try CollectionName("notes")
        let service = InferenceService(
            catalog: OneModel(model: FixedModel { _, _ in throw ApusError(.engineFailure, "not asked") }), collections: Standstill(),
            metrics: ServiceMetrics(kit))
        let soon: @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now + .milliseconds(5) }
        let operations: [(String, @Sendable () async throws -> Void)] = [
            ("list", { _ = try await service.listCollections(until: soon()) }),
            ("create", { _ = try await service.createCollection(CreateCollectionRequest(name: name, model: .none, dimensions: 2), until: soon()) }),
            ("describe", { _ = try await service.describeCollection(name, until: soon()) }),
            ("drop", { try await service.dropCollection(name, until: soon()) }),
            ("compact", { _ = try await service.compactCollection(name, until: soon()) }),
            ("read", { _ = try await service.listDocuments(DocumentListing(), of: name, until: soon()) }),
            ("read", { _ = try await service.findDocument("a", in: name, until: soon()) }),
            ("delete", { try await service.deleteDocument("a", from: name, until: soon()) }),
            ("delete", { _ = try await service.deleteDocuments(.ids(["a"]), from: name, until: soon()) }),
            (
                "write",
                {
                    let options = EmbeddingOptions(deadline: soon())
                    _ = try await service.writeDocuments(WriteDocumentsRequest(collection: name, items: [.init(vector: [1, 2])], options: options))
                }
            ),
            (
                "search",
                { _ = try await service.search(SearchRequest(collection: name, queries: .vectors([[1, 2]]), options: EmbeddingOptions(deadline: soon()))) }
            ),
        ]
        for (operation, ask) in operations {
            let error = await #expect(throws: ApusError.self) { try await ask() }
            #expect(error?.code == .deadlineExceeded, "\(operation): \(String(describing: error))")
        }
        let late = await #expect(throws: ApusError.self) { try await service.describeCollection(name, until: ContinuousClock.now - .seconds(1)) }
        #expect(late?.code == .deadlineExceeded)
        for (operation, count) in [("read", 2), ("compact", 1), ("describe", 2), ("drop", 1), ("list", 1), ("create", 1), ("delete", 2)] as [(String, Int64)] {
            let counted = try kit.expectCounter("apus_collections_errors_total", [("operation", operation), ("code", "deadline_exceeded")])
            #expect(counted.totalValue == count, "\(operation)")
        }
    }
}
