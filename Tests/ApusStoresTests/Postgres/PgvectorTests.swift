import ApusErrors
import ApusJSON
import ApusStores
import ApusVectors
import Foundation
import NIOConcurrencyHelpers
import Testing

@Suite(.enabled(if: TemporaryPostgres.programs != nil, "there is no PostgreSQL server; run scripts/setup-tests"), .timeLimit(.minutes(3)), .serialized)
struct PgvectorTests {
    private let server: TemporaryPostgres
    private let name: CollectionName

    init() async throws {
        server = try await TemporaryPostgres(#require(TemporaryPostgres.programs))
        name = try CollectionName("things")
    }

    private func store(url: String? = nil, command: Duration = .seconds(30), observer: CollectionObserver? = nil) throws -> PostgresCollections {
        try PostgresCollections(
            PostgresSettings(url: url ?? server.url, library: TemporaryPostgres.library, commandTimeout: command), threads: 2, observer: observer)
    }

    private static func filter(_ text: String) throws -> MetadataFilter { try MetadataFilter(parsing: Array(text.utf8)) }

    @Test(arguments: VectorMetric.allCases)
    func `hits and scores are those of files, to the bit, ties and vectors of zeros included`(_ metric: VectorMetric) async throws {
        let folder = try TemporaryFolder()
        let (files, database) = (try LocalCollections(folder: folder.path, engine: CPUVectorSearch(threads: 2)), try store())
        var generator = SeededGenerator(seed: 11)
        func vector() -> [Float] { (0..<40).map { _ in Float.random(in: -1...1, using: &generator) } }
        var documents = try (0..<700).map { index in
            Document(
                id: "d\(index)", metadata: try Metadata(parsing: Array(#"{"part":\#(index % 7)}"#.utf8)),
                vector: index % 50 == 0 ? [Float](repeating: 0, count: 40) : vector())
        }
        // The same vectors again: ties.
        documents += documents[100..<160].enumerated().map { Document(id: "again\($0.offset)", metadata: $0.element.metadata, vector: $0.element.vector) }
        let queries = [vector(), documents[120].vector, [Float](repeating: 0, count: 40), vector()]
        for store in [files, database] as [any CollectionStore] {
            _ = try await store.create(name, CollectionSettings(dimensions: 40, metric: metric))
            _ = try await store.write(documents, .add, into: name)
        }
        // So many that they are scanned for here, too.
        for queries in [queries, (0..<20).map { _ in vector() }] {
            for (k, filter) in [(1, nil), (25, nil), (1_000, nil), (10, #"{"part":3}"#), (300, #"{"part":{"$in":[0,1]}}"#), (5, #"{"part":99}"#)] as [(Int, String?)] {
                let search = CollectionSearch(try VectorRows(queries), k: k, filter: try filter.map { try Self.filter($0) }, parts: [.vector])
                let expected = try await files.search(search, in: name)
                let found = try await database.search(search, in: name)
                for (expected, found) in zip(expected, found) {
                    #expect(found.map(\.document.id) == expected.map(\.document.id), "k \(k), \(filter ?? "all")")
                    #expect(found.map(\.score) == expected.map(\.score))
                    #expect(found.map(\.document.vector) == expected.map(\.document.vector))
                }
            }
        }
        await files.close()
        await database.close()
    }

    @Test func `filters mean in the database what they mean beside it`() async throws {
        let store = try store()
        _ = try await store.create(name, CollectionSettings(dimensions: 1, metric: .dot))
        let metadata = [
            "{}", #"{"n":1}"#, #"{"n":1.0}"#, #"{"n":"1"}"#, #"{"n":true}"#, #"{"n":null}"#, #"{"n":[1,"a",null]}"#, #"{"n":{"m":1}}"#,
            #"{"n":9007199254740992}"#, #"{"n":9007199254740993}"#, #"{"n":9007199254740992.0}"#, #"{"n":1e300}"#, #"{"n":-0.0}"#, #"{"n":5e-324}"#,
            #"{"n":0.1}"#, #"{"n":"a\u0000b"}"#, #"{"n":"é"}"#, #"{"n":"e\u0301"}"#, #"{"n":""}"#, #"{"a":{"b":{"c":[1]}}}"#, #"{"a.b":1}"#,
            #"{"n":{"0":1}}"#, #"{"n":"\\u0000"}"#, #"{"":{"":1}}"#,
        ].map { Array($0.utf8) }
        let documents = try metadata.enumerated().map { Document(id: "d\(100 + $0.offset)", metadata: try Metadata(parsing: $0.element), vector: [Float($0.offset)]) }
        _ = try await store.write(documents, .add, into: name)
        let values = [
            "1", "1.5", "0", "0.1", "\"1\"", "\"\"", "\"é\"", "\"e\u{301}\"", #""a\u0000b""#, #""a""#, "true", "false", "null", "9007199254740992",
            "9007199254740993", "9.007199254740992e15", "1e300", "-1e300", "5e-324",
        ]
        var filters = values.flatMap { value in
            ["$eq", "$ne"].map { #"{"n":{"\#($0)":\#(value)}}"# } + [#"{"n":{"$contains":\#(value)}}"#, #"{"n":{"$in":[\#(value),2]}}"#, #"{"n":{"$nin":[\#(value),"x"]}}"#]
        }
        for value in values where !["true", "false", "null"].contains(value) {
            filters += ["$gt", "$gte", "$lt", "$lte"].map { #"{"n":{"\#($0)":\#(value)}}"# }
        }
        filters += [
            #"{"n":{"$exists":true}}"#, #"{"n":{"$exists":false}}"#, #"{"a.b.c":{"$exists":true}}"#, #"{"a.b.c":{"$contains":1}}"#, #"{"a.b":1}"#, #"{"n.0":1}"#,
            #"{"n.m":1}"#, #"{".":1}"#, #"{"a.b.c.d.e.f.g.h.i.j":{"$ne":1}}"#, #"{"n\u0000":{"$exists":false}}"#, #"{"$or":[{"n":1},{"n":"1"}]}"#,
            #"{"$and":[{"n":{"$gt":0}},{"n":{"$lt":2}}]}"#,
        ]
        filters += filters.map { #"{"$not":\#($0)}"# } + filters.map { #"{"$not":{"$and":[\#($0),{"n":{"$exists":true}}]}}"# }
        for text in filters {
            let filter = try Self.filter(text)
            let expected = documents.filter { filter.matches($0.metadata) }.map(\.id)
            #expect(try await store.list(DocumentListing(filter: filter), of: name).documents.map(\.id) == expected, "\(text)")
            let search = CollectionSearch(try VectorRows([[1]]), k: 100, filter: filter)
            #expect(try await store.search(search, in: name).first?.map(\.document.id) == expected.reversed(), "\(text)")
        }
        #expect(filters.count > 500)
        await store.close()
    }

    @Test func `a database without the extension says so, and what was made before it had it stays readable`() async throws {
        let events = NIOLockedValueBox<[(CollectionBackend, String)]>([])
        let observer: CollectionObserver = { event in
            if case .reached(_, let backend, let reason) = event { events.withLockedValue { $0.append((backend, reason)) } }
        }
        let plain = try store(url: server.plainURL, observer: observer)
        #expect(try await plain.create(name, CollectionSettings(dimensions: 2)).backend == .postgresql)
        #expect(events.withLockedValue { $0 }.map(\.0) == [.postgresql])
        #expect(events.withLockedValue { $0 }.first?.1.contains("pgvector") == true)
        _ = try await plain.write([Document(id: "a", vector: [1, 0]), Document(id: "b", vector: [0, 1])], .add, into: name)
        try server.execute("CREATE EXTENSION vector", url: server.url.replacingOccurrences(of: "/postgres", with: "/plain"))
        let newer = try CollectionName("newer")
        #expect(try await plain.create(newer, CollectionSettings(dimensions: 2)).backend == .pgvector)
        #expect(try await plain.describe(name).backend == .postgresql)
        _ = try await plain.write([Document(id: "a", vector: [1, 0]), Document(id: "b", vector: [0, 1])], .add, into: newer)
        for name in [name, newer] {
            let hits = try await plain.search(CollectionSearch(VectorRows([[0, 1]]), k: 2), in: name)
            #expect(hits.first?.map(\.document.id) == ["b", "a"])
        }
        // pgvector's columns have at most 16,000 dimensions.
        let long = try CollectionName("long")
        #expect(try await plain.create(long, CollectionSettings(dimensions: 16_001)).backend == .postgresql)
        await plain.close()
        let other = try store(observer: observer)
        _ = try await other.names()
        #expect(events.withLockedValue { $0 }.map(\.0) == [.postgresql, .pgvector])
        await other.close()
    }

    @Test func `tables of the first version are brought up to date, and their collections stay`() async throws {
        let statements = [
            "CREATE TABLE apus_schema (version bigint NOT NULL)", "INSERT INTO apus_schema VALUES (1)",
            """
            CREATE TABLE apus_collections (
                number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name bytea NOT NULL UNIQUE, dimensions bigint NOT NULL, metric bytea NOT NULL,
                storage bytea NOT NULL, model bytea, weights bytea, created_at bigint NOT NULL, last_document bigint NOT NULL DEFAULT 0)
            """,
            """
            CREATE TABLE apus_documents (
                collection bigint NOT NULL REFERENCES apus_collections ON DELETE CASCADE, id bytea NOT NULL, number bigint NOT NULL, body bytea,
                metadata bytea NOT NULL, vector bytea NOT NULL, PRIMARY KEY (collection, id))
            """,
            "CREATE UNIQUE INDEX apus_documents_in_order ON apus_documents (collection, number)",
            "INSERT INTO apus_collections (name, dimensions, metric, storage, created_at, last_document) VALUES ('things', 1, 'dot', 'fp32', 7, 2)",
            "INSERT INTO apus_documents VALUES (1, 'a', 1, NULL, '{\"n\":1}', '\\x0000803f'), (1, 'b', 2, 'text', '{\"n\":2}', '\\x00000040')",
        ]
        for statement in statements { try server.execute(statement) }
        let store = try store()
        #expect(try await store.describe(name).documents == 2)
        let search = CollectionSearch(try VectorRows([[1]]), k: 5, filter: try Self.filter(#"{"n":{"$gte":1}}"#), parts: [.text, .vector])
        let hits = try #require(try await store.search(search, in: name).first)
        #expect(hits.map(\.document.id) == ["b", "a"] && hits.map(\.document.vector) == [[2], [1]] && hits.map(\.document.text) == ["text", nil])
        _ = try await store.write([Document(id: "c", metadata: try Metadata(parsing: Array(#"{"n":3}"#.utf8)), vector: [3])], .add, into: name)
        #expect(try await store.delete(.filter(Self.filter(#"{"n":{"$gt":1}}"#)), from: name) == 2)
        await store.close()
    }

    @Test func `who gives up is answered although the server stands still, and the next is served`() async throws {
        let store = try store()
        _ = try await store.create(name, CollectionSettings(dimensions: 1))
        server.signal(SIGSTOP)
        let name = name
        let asking = Task { try await store.describe(name) }
        // It may have begun to wait or not: either way it ends.
        try await Task.sleep(for: .milliseconds(300))
        asking.cancel()
        let error = await #expect(throws: ApusError.self) { try await asking.value }
        #expect(error?.code == .cancelled)
        server.signal(SIGCONT)
        #expect(try await store.describe(name).documents == 0)
        await store.close()
    }

    @Test func `a client library that is not there is told by its name`() async throws {
        let store = try PostgresCollections(PostgresSettings(url: server.url, library: "/nowhere/libpq.so.5"))
        let error = await #expect(throws: ApusError.self) { _ = try await store.names() }
        #expect(error?.code == .storeUnavailable && error?.place == "/nowhere/libpq.so.5" && error?.advice?.contains("APUS_LIBPQ") == true)
        await store.close()
    }
}
