import ApusErrors
import ApusStores
import ApusVectors
import Foundation
import Testing

@Suite struct LocalCollectionsTests {
    private let folder: TemporaryFolder
    private let name: CollectionName

    init() throws {
        folder = try TemporaryFolder()
        name = try CollectionName("things")
    }

    private func store(_ access: LocalCollections.Access = .readWrite) throws(ApusError) -> LocalCollections {
        try LocalCollections(folder: folder.path, access: access, engine: CPUVectorSearch(threads: 2))
    }

    private func refusal<Value>(_ body: () async throws(ApusError) -> Value) async -> ApusError? {
        do throws(ApusError) {
            _ = try await body()
            return nil
        } catch {
            return error
        }
    }

    private static func document(_ id: String, _ vector: [Float] = [1, 0]) -> Document { Document(id: id, vector: vector) }

    @Test func `one process writes into a folder, others may read`() async throws {
        let store = try store()
        _ = try await store.create(name, CollectionSettings(dimensions: 2, model: "m", weights: "w"))
        _ = try await store.write([Self.document("a"), Self.document("b", [0, 1])], .add, into: name)
        let error = await refusal { () throws(ApusError) in try self.store() }
        #expect(error?.code == .storeUnavailable)
        #expect(error?.message.contains("process \(ProcessInfo.processInfo.processIdentifier)") == true)
        let reader = try self.store(.readOnly)
        let hits = try await reader.search(CollectionSearch(VectorRows([[0, 1]]), k: 1), in: name)
        #expect(hits.first?.first?.document.id == "b")
        _ = try await store.write([Self.document("c", [0, 2])], .add, into: name)
        #expect(try await reader.describe(name).documents == 3)
        _ = try await store.delete(.ids(["a"]), from: name)
        _ = try await store.compact(name)
        #expect(try await reader.list(DocumentListing(), of: name).documents.map(\.id) == ["b", "c"])
        #expect(await refusal { () throws(ApusError) in try await reader.delete(.ids(["b"]), from: name) }?.code == .storeUnavailable)
        #expect(try await reader.describe(name).settings == CollectionSettings(dimensions: 2, model: "m", weights: "w"))
        await store.close()
        #expect(await refusal { () throws(ApusError) in try await store.describe(name) }?.code == .storeUnavailable)
        let next = try self.store()
        #expect(try await next.describe(name).documents == 2)
        await next.close()
    }

    @Test func `collections come and go by name`() async throws {
        let store = try store()
        #expect(try await store.names() == [])
        #expect(await refusal { () throws(ApusError) in try await store.describe(name) }?.code == .collectionNotFound)
        #expect(await refusal { () throws(ApusError) in try await store.drop(name) }?.code == .collectionNotFound)
        _ = try await store.create(name, CollectionSettings(dimensions: 2))
        #expect(await refusal { () throws(ApusError) in try await store.create(name, CollectionSettings(dimensions: 3)) }?.code == .collectionExists)
        #expect(try await store.names() == [name])
        try await store.drop(name)
        #expect(try await store.names() == [])
        #expect(await refusal { () throws(ApusError) in try await store.write([Self.document("a")], .add, into: name) }?.code == .collectionNotFound)
        _ = try await store.create(name, CollectionSettings(dimensions: 3))
        #expect(try await store.describe(name).settings.dimensions == 3)
        await store.close()
    }

    @Test(arguments: ["", ".hidden", "a/b", "..", "a b", "é", "a\0", String(repeating: "a", count: 65)])
    func `names that could be paths are refused`(_ text: String) {
        #expect(throws: ApusError.self) { _ = try CollectionName(text) }
    }

    @Test func `what is wrong with documents is told by place, and nothing of the write stays`() async throws {
        let store = try store()
        _ = try await store.create(name, CollectionSettings(dimensions: 2))
        _ = try await store.write([Self.document("there")], .add, into: name)
        let deep = try? Metadata(parsing: Array(#"{"a":[[1]]}"#.utf8))
        #expect(deep == nil)
        let cases: [([Document], ApusError.Code, String)] = [
            ([Self.document("a"), Self.document("a")], .invalidValue, "documents[1].id"),
            ([Self.document("a"), Self.document("")], .invalidValue, "documents[1].id"),
            ([Self.document("a\n")], .invalidValue, "documents[0].id"),
            ([Self.document(String(repeating: "x", count: 513))], .invalidValue, "documents[0].id"),
            ([Self.document("a"), Self.document("b", [1])], .invalidValue, "documents[1].vector"),
            ([Self.document("a"), Self.document("b", [1, .nan])], .invalidValue, "documents[1].vector"),
            ([Document(id: "a", text: String(repeating: "x", count: 1 << 20 + 1), vector: [1, 0])], .stringTooLong, "documents[0].text"),
            ([Self.document("a"), Self.document("there")], .documentExists, "documents[1].id"),
        ]
        for (documents, code, place) in cases {
            let error = await refusal { () throws(ApusError) in try await store.write(documents, .add, into: name) }
            #expect(error?.code == code && error?.place == place, "\(String(describing: error))")
        }
        #expect(try await store.describe(name).documents == 1)
        for (k, queries) in [(0, [[1, 0]]), (10_001, [[1, 0]]), (1, [[1, 0, 0]]), (1, [[.infinity, 0]])] as [(Int, [[Float]])] {
            let error = await refusal { () throws(ApusError) in
                try await store.search(CollectionSearch(VectorRows(queries), k: k), in: name)
            }
            #expect(error?.code == .invalidValue)
        }
        await store.close()
    }

    @Test func `writers who come at once are all answered, and each write is whole`() async throws {
        let store = try store()
        _ = try await store.create(name, CollectionSettings(dimensions: 2))
        let name = name
        let taken = await withTaskGroup(of: Int?.self) { group in
            for writer in 0..<64 {
                group.addTask {
                    // Two writers want each name: one of them is refused whole.
                    let documents = (0..<10).map { Document(id: "\(writer / 2)-\($0)", text: "\(writer)", vector: [Float(writer), 1]) }
                    return (try? await store.write(documents, .add, into: name)).map { _ in writer }
                }
            }
            return await group.reduce(into: [Int]()) { if let writer = $1 { $0.append(writer) } }
        }
        #expect(Set(taken.map { $0 / 2 }).count == 32 && taken.count == 32)
        let stored = try await store.list(DocumentListing(limit: 1_000, parts: [.text, .vector]), of: name).documents
        #expect(stored.count == 320)
        for document in stored {
            let writer = try #require(document.text.flatMap { Int($0) })
            #expect(taken.contains(writer) && document.vector?.first == Float(writer))
        }
        await store.close()
    }

    @Test func `searches meet each document once while all are replaced and compacted`() async throws {
        let store = try store()
        let name = name
        _ = try await store.create(name, CollectionSettings(dimensions: 2, metric: .dot))
        func version(_ number: Int) throws -> [Document] {
            try (0..<50).map {
                Document(
                    id: "\($0)", text: "\(number)", metadata: try Metadata(parsing: Array(#"{"even":\#($0 % 2 == 0)}"#.utf8)),
                    vector: [Float($0), Float(number)])
            }
        }
        _ = try await store.write(version(0), .add, into: name)
        let filter = try MetadataFilter(parsing: Array(#"{"even":true}"#.utf8))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for number in 1...60 {
                    _ = try await store.write(version(number), .upsert, into: name)
                    if number % 10 == 0 { _ = try await store.compact(name) }
                }
            }
            for _ in 0..<2 {
                group.addTask {
                    for round in 0..<120 {
                        let search = CollectionSearch(
                            try VectorRows([[1, 0]]), k: 100, filter: round % 2 == 0 ? nil : filter, parts: [.text, .vector])
                        let hits = try await store.search(search, in: name).first ?? []
                        #expect(hits.count == (round % 2 == 0 ? 50 : 25))
                        #expect(Set(hits.compactMap(\.document.text)).count == 1)
                        for hit in hits { #expect(hit.document.vector == [hit.score, Float(hit.document.text ?? "") ?? -1]) }
                    }
                }
            }
            try await group.waitForAll()
        }
        await store.close()
    }
}
