import ApusErrors
import ApusStores
import ApusVectors
import Foundation
import Testing

@Suite(.enabled(if: TemporaryPostgres.programs != nil, "there is no PostgreSQL server; run scripts/setup-tests"), .timeLimit(.minutes(3)), .serialized)
struct PostgresCollectionsTests {
    /// How a database keeps vectors.
    enum Form: CaseIterable {
        case plain, pgvector

        var backend: CollectionBackend { self == .plain ? .postgresql : .pgvector }
    }

    private let server: TemporaryPostgres
    private let name: CollectionName

    init() async throws {
        server = try await TemporaryPostgres(#require(TemporaryPostgres.programs))
        name = try CollectionName("things")
    }

    private func store(
        _ form: Form = .pgvector, connect: Duration = .seconds(5), command: Duration = .seconds(30), connections: Int = 8,
        observer: CollectionObserver? = nil
    ) throws -> PostgresCollections {
        try PostgresCollections(
            PostgresSettings(
                url: form == .plain ? server.plainURL : server.url, library: TemporaryPostgres.library, connections: connections,
                connectTimeout: connect, commandTimeout: command), threads: 2, observer: observer)
    }

    private func code<Value>(_ body: () async throws -> Value) async -> ApusError.Code? {
        do {
            _ = try await body()
            return nil
        } catch {
            return (error as? ApusError)?.code
        }
    }

    private static func document(_ id: String, _ vector: [Float] = [1, 0]) -> Document { Document(id: id, vector: vector) }

    @Test(arguments: [(1, VectorStorage.fp32, .plain), (2, .int8, .plain), (1, .fp32, .pgvector), (3, .int8, .pgvector)] as [(UInt64, VectorStorage, Form)])
    func `a collection is what a naive one is, whatever is done to it`(_ seed: UInt64, _ storage: VectorStorage, _ form: Form) async throws {
        try await RandomOperations.run(seed, storage, steps: 120) { try store(form) }
    }

    @Test(arguments: Form.allCases) func `collections come and go by name`(_ form: Form) async throws {
        let store = try store(form)
        #expect(try await store.names() == [])
        #expect(await code { try await store.describe(name) } == .collectionNotFound)
        #expect(await code { try await store.drop(name) } == .collectionNotFound)
        let settings = try CollectionSettings(dimensions: 2, metric: .l2, storage: .fp16, model: "m", weights: "w")
        let made = try await store.create(name, settings)
        #expect(made.settings == settings && made.backend == form.backend)
        #expect(await code { try await store.create(name, CollectionSettings(dimensions: 3)) } == .collectionExists)
        _ = try await store.create(CollectionName("B"), CollectionSettings(dimensions: 1))
        #expect(try await store.names().map(\.text) == ["B", "things"])
        try await store.drop(name)
        #expect(await code { try await store.write([Self.document("a")], .add, into: name) } == .collectionNotFound)
        #expect(await code { try await store.search(CollectionSearch(VectorRows([[1, 0]]), k: 1), in: name) } == .collectionNotFound)
        await store.close()
        #expect(await code { try await store.names() } == .storeUnavailable)
    }

    @Test(arguments: Form.allCases) func `what is wrong with documents and questions is told, and nothing of the write stays`(_ form: Form) async throws {
        let store = try store(form)
        _ = try await store.create(name, CollectionSettings(dimensions: 2))
        _ = try await store.write([Self.document("there")], .add, into: name)
        let cases: [([Document], ApusError.Code)] = [
            ([Self.document("a"), Self.document("a")], .invalidValue), ([Self.document("a"), Self.document("")], .invalidValue),
            ([Self.document("a"), Self.document("b", [1])], .invalidValue), ([Self.document("a"), Self.document("b", [1, .nan])], .invalidValue),
            ([Self.document("a"), Self.document("there")], .documentExists),
        ]
        for (documents, expected) in cases {
            #expect(await code { try await store.write(documents, .add, into: name) } == expected)
        }
        #expect(try await store.describe(name).documents == 1)
        for (k, queries) in [(0, [[1, 0]]), (10_001, [[1, 0]]), (1, [[1, 0, 0]]), (1, [[.infinity, 0]])] as [(Int, [[Float]])] {
            #expect(await code { try await store.search(CollectionSearch(VectorRows(queries), k: k), in: name) } == .invalidValue)
        }
        await store.close()
    }

    @Test(arguments: Form.allCases) func `names and texts that are commands elsewhere are texts here`(_ form: Form) async throws {
        let store = try store(form)
        let hostile = "'; DROP TABLE apus_documents; --"
        _ = try await store.create(name, CollectionSettings(dimensions: 2, model: hostile, weights: hostile))
        let document = Document(
            id: hostile, text: "\(hostile)\0\u{fffd}$1", metadata: try Metadata(parsing: Array(#"{"a'\"":"\#(hostile)"}"#.utf8)), vector: [1, 0])
        _ = try await store.write([document], .add, into: name)
        let stored = try #require(try await store.documents([hostile], of: name, including: [.text, .metadata, .vector]).first ?? nil)
        #expect(stored.text == document.text && stored.metadata?.encoded == document.metadata.encoded && stored.vector == [1, 0])
        #expect(try await store.describe(name).settings.model == hostile)
        let filters = [#"{"a'\"":"\#(hostile)"}"#, #"{"a'\"":{"$in":["\#(hostile)",1]}}"#, #"{"a'\"":{"$gte":"\#(hostile)"}}"#]
        for filter in filters {
            let listing = DocumentListing(filter: try MetadataFilter(parsing: Array(filter.utf8)))
            #expect(try await store.list(listing, of: name).documents.map(\.id) == [hostile])
        }
        #expect(try await store.delete(.ids([hostile, "other"]), from: name) == 1)
        await store.close()
    }

    @Test func `several servers share collections and may start at once`() async throws {
        let stores = try (0..<4).map { _ in try store() }
        let name = name
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, store) in stores.enumerated() {
                group.addTask { _ = try await store.create(CollectionName("of-\(number)"), CollectionSettings(dimensions: 2)) }
            }
            try await group.waitForAll()
        }
        _ = try await stores[0].create(name, CollectionSettings(dimensions: 2))
        #expect(try await stores[1].names().count == 5)
        let taken = await withTaskGroup(of: Int?.self) { group in
            for writer in 0..<32 {
                group.addTask {
                    let documents = (0..<10).map { Document(id: "\(writer / 2)-\($0)", text: "\(writer)", vector: [Float(writer), 1]) }
                    return (try? await stores[writer % 4].write(documents, .add, into: name)).map { _ in writer }
                }
            }
            return await group.reduce(into: [Int]()) { if let writer = $1 { $0.append(writer) } }
        }
        #expect(Set(taken.map { $0 / 2 }).count == 16 && taken.count == 16)
        let stored = try await stores[2].list(DocumentListing(limit: 1_000, parts: [.text]), of: name).documents
        #expect(stored.count == 160 && stored.allSatisfy { document in document.text.flatMap { Int($0) }.map { taken.contains($0) } == true })
        for store in stores { await store.close() }
    }

    @Test(arguments: Form.allCases) func `searches meet each document once while all are replaced`(_ form: Form) async throws {
        let store = try store(form)
        let name = name
        _ = try await store.create(name, CollectionSettings(dimensions: 2, metric: .dot))
        @Sendable func version(_ number: Int) -> [Document] { (0..<50).map { Document(id: "\($0)", text: "\(number)", vector: [Float($0), Float(number)]) } }
        _ = try await store.write(version(0), .add, into: name)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for number in 1...40 { _ = try await store.write(version(number), .upsert, into: name) }
                _ = try await store.compact(name)
            }
            for _ in 0..<2 {
                group.addTask {
                    for _ in 0..<40 {
                        let hits = try await store.search(CollectionSearch(VectorRows([[1, 0]]), k: 100, parts: [.text, .vector]), in: name).first ?? []
                        #expect(hits.count == 50 && Set(hits.compactMap(\.document.text)).count == 1)
                        for hit in hits { #expect(hit.document.vector == [hit.score, Float(hit.document.text ?? "") ?? -1]) }
                    }
                }
            }
            try await group.waitForAll()
        }
        await store.close()
    }

    @Test func `what was answered for survives a server that is killed, and it is used again when it is back`() async throws {
        let store = try store(connect: .seconds(2))
        _ = try await store.create(name, CollectionSettings(dimensions: 2))
        var answered: Set<String> = []
        for round in 0..<3 {
            for number in 0..<20 {
                let id = "\(round)-\(number)"
                _ = try await store.write([Self.document(id)], .add, into: name)
                answered.insert(id)
            }
            server.kill9()
            #expect(await code { try await store.write([Self.document("lost")], .upsert, into: name) } == .storeUnavailable)
            try await server.start()
            while await code({ try await store.describe(name) }) != nil { try await Task.sleep(for: .milliseconds(20)) }
        }
        let stored = try await store.list(DocumentListing(limit: 1_000), of: name).documents.map(\.id)
        #expect(Set(stored) == answered)
        await store.close()
    }

    @Test func `a server that stands still is waited for as long as was said, and no longer`() async throws {
        let store = try store(connect: .milliseconds(300), command: .milliseconds(500), connections: 2)
        _ = try await store.create(name, CollectionSettings(dimensions: 2))
        server.signal(SIGSTOP)
        let name = name
        let codes = await withTaskGroup(of: ApusError.Code?.self) { group in
            for _ in 0..<6 { group.addTask { await code { try await store.describe(name) } } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(codes.allSatisfy { $0 == .storeUnavailable })
        server.signal(SIGCONT)
        while await code({ try await store.describe(name) }) != nil { try await Task.sleep(for: .milliseconds(20)) }
        #expect(try await store.write([Self.document("after")], .add, into: name).added == 1)
        await store.close()
    }

    @Test func `tables of a newer version are left alone`() async throws {
        let first = try store()
        _ = try await first.create(name, CollectionSettings(dimensions: 2))
        await first.close()
        try server.execute("INSERT INTO apus_schema VALUES (99)")
        #expect(await code { try await store().names() } == .storeUnavailable)
    }

    @Test(arguments: ["", "postgres:/x", "mysql://localhost/db", "/var/lib/apus"]) func `addresses of something else are refused`(url: String) {
        #expect(throws: ApusError.self) { try PostgresSettings(url: url) }
    }

    @Test func `where nobody listens the store is unavailable, and the password is not told`() async throws {
        server.kill9()
        let url = "postgres://apus:secret@127.0.0.1:\(server.port)/postgres"
        let store = try PostgresCollections(PostgresSettings(url: url, library: TemporaryPostgres.library))
        do {
            _ = try await store.names()
            Issue.record("there was an answer")
        } catch {
            #expect(error.code == .storeUnavailable && !"\(error)".contains("secret"))
        }
        await store.close()
    }
}
