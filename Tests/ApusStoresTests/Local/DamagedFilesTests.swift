import ApusErrors
import ApusStores
import ApusVectors
import Foundation
import GRDB
import Testing

@Suite struct DamagedFilesTests {
    private let folder: TemporaryFolder
    private let name: CollectionName
    private let documents: [Document]

    init() throws {
        folder = try TemporaryFolder()
        name = try CollectionName("things")
        var generator = SeededGenerator(seed: 7)
        documents = try (0..<60).map { index in
            Document(
                id: "document-\(index)", text: "text \(index) " + String(repeating: "x", count: index * 7),
                metadata: try Metadata(parsing: Array(#"{"number":\#(index)}"#.utf8)),
                vector: (0..<16).map { _ in Float.random(in: -1...1, using: &generator) })
        }
    }

    private var store: LocalCollections { get throws { try LocalCollections(folder: folder.path, engine: CPUVectorSearch(threads: 1)) } }
    private var collection: String { "\(folder.path)/collections/things" }
    private var vectors: String { "\(collection)/vectors-1.bin" }
    private var database: String { "\(collection)/documents.sqlite" }

    private func fill(_ settings: CollectionSettings) async throws {
        let store = try store
        _ = try await store.create(name, settings)
        _ = try await store.write(documents, .add, into: name)
        _ = try await store.delete(.ids(["document-3"]), from: name)
        await store.close()
    }

    /// nil when all documents read as they were written; else why not.
    private func reading(_ what: String = "") async throws -> ApusError? {
        let store = try store
        var failure: ApusError?
        do throws(ApusError) {
            let parts: DocumentParts = [.text, .metadata, .vector]
            let stored = try await store.documents(documents.map(\.id), of: name, including: parts)
            for (document, found) in zip(documents, stored) where document.id != "document-3" {
                let isSame = found?.text == document.text && found?.vector == document.vector && found?.id == document.id
                #expect(isSame && found?.metadata?.encoded == document.metadata.encoded, "\(what) \(document.id)")
            }
            #expect(stored[3] == nil)
            let queries = try VectorRows(documents.map(\.vector))
            let hits = try await store.search(CollectionSearch(queries, k: 1, parts: parts), in: name)
            for (document, hit) in zip(documents, hits) where document.id != "document-3" {
                #expect(hit.first?.document.id == document.id && hit.first?.document.vector == document.vector, "\(what)")
            }
            let page = try await store.list(DocumentListing(limit: 100), of: name)
            #expect(page.documents.count == 59, "\(what)")
        } catch {
            failure = error
        }
        await store.close()
        return failure
    }

    @Test(arguments: VectorStorage.allCases)
    func `a changed byte in a vector file is found, and one that belongs to no row is harmless`(_ storage: VectorStorage) async throws {
        try await fill(CollectionSettings(dimensions: 16, storage: storage))
        #expect(try await reading() == nil)
        let whole = try folder.bytes(of: vectors)
        var refused = 0
        for position in Array(0..<64) + Array(stride(from: 4_096, to: min(whole.count, 20_000), by: 211)) + Array(stride(from: 20_000, to: whole.count, by: 99_991)) {
            var damaged = whole
            damaged[position] ^= 0x10
            try folder.overwrite(vectors, with: damaged)
            if let error = try await reading("byte \(position)") {
                #expect(error.code == .storeCorrupt, "byte \(position): \(error)")
                #expect(error.place?.contains("vectors-1.bin") == true)
                refused += 1
            } else {
                #expect(position >= 40)
            }
        }
        #expect(refused >= 40 + 5)
        try folder.overwrite(vectors, with: whole)
        #expect(try await reading() == nil)
    }

    @Test func `a vector file that is cut short or gone is told`() async throws {
        try await fill(CollectionSettings(dimensions: 16))
        let whole = try folder.bytes(of: vectors)
        for length in [0, 20, 4_096, 5_000, whole.count - 1] {
            try folder.overwrite(vectors, with: Array(whole[..<length]))
            let error = try #require(try await reading())
            #expect(error.code == .storeCorrupt && error.advice != nil, "\(length) bytes: \(error)")
        }
        try FileManager.default.removeItem(atPath: vectors)
        #expect(try await reading()?.code == .storeCorrupt)
    }

    @Test func `a changed byte in the documents' file is found or harmless`() async throws {
        try await fill(CollectionSettings(dimensions: 16))
        let whole = try folder.bytes(of: database)
        var refused = 0
        for position in Array(0..<100) + Array(stride(from: 100, to: whole.count, by: 199)) {
            var damaged = whole
            damaged[position] ^= 0x04
            try folder.overwrite(database, with: damaged)
            if let error = try await reading("byte \(position)") {
                #expect([.storeCorrupt, .storeUnavailable].contains(error.code), "byte \(position): \(error)")
                refused += 1
            }
            for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: database + suffix) }
        }
        #expect(refused > 100)
        try folder.overwrite(database, with: whole)
        #expect(try await reading() == nil)
    }

    @Test func `files of others are refused and left as they are`() async throws {
        try await fill(CollectionSettings(dimensions: 16))
        let whole = try folder.bytes(of: database)
        var foreign = whole
        foreign[68] ^= 1
        for bytes in [[], Array("hello, world".utf8), [UInt8](repeating: 0, count: 8_192), foreign] {
            try folder.overwrite(database, with: bytes)
            let error = try #require(try await reading())
            #expect(error.code == .storeCorrupt && error.place?.hasSuffix("documents.sqlite") == true)
            #expect(try folder.bytes(of: database) == bytes)
        }
        try FileManager.default.removeItem(atPath: database)
        #expect(try await reading()?.code == .storeCorrupt)
    }

    @Test func `one damaged collection concerns no other and can be dropped`() async throws {
        try await fill(CollectionSettings(dimensions: 16))
        try folder.overwrite(database, with: [1, 2, 3])
        let store = try store
        let other = try CollectionName("other")
        _ = try await store.create(other, CollectionSettings(dimensions: 16))
        _ = try await store.write(documents, .add, into: other)
        #expect(try await store.names() == [other, name])
        await #expect(throws: ApusError.self) { _ = try await store.describe(name) }
        #expect(try await store.describe(other).documents == 60)
        try await store.drop(name)
        #expect(try await store.names() == [other])
        await store.close()
    }

    @Test func `documents that a compaction forgot only in part are no damage and go`() async throws {
        try await fill(CollectionSettings(dimensions: 16))
        // As a kill behind the exchange of the files leaves it: the row is gone, the document and what its metadata are found by are not.
        let queue = try DatabaseQueue(path: database)
        let number = try await queue.read { db in try Int64.fetchOne(db, sql: "SELECT seq FROM rows WHERE deleted = 1") }
        let store = try store
        _ = try await store.compact(name)
        await store.close()
        let copied = try #require(number)
        try await queue.write { db in
            try db.execute(sql: "INSERT INTO documents (seq, id, metadata) VALUES (?, ?, ?)", arguments: [copied, Data("stray".utf8), Data("{}".utf8)])
        }
        try queue.close()
        #expect(try await reading() == nil)
        let after = try DatabaseQueue(path: database)
        #expect(try await after.read { db in try Int.fetchOne(db, sql: "SELECT count(*) FROM documents") } == 59)
        try after.close()
    }

    @Test func `what a compaction or a creation that was killed has left goes`() async throws {
        try await fill(CollectionSettings(dimensions: 16))
        #expect(FileManager.default.createFile(atPath: database + ".txt", contents: Data([1])))
        #expect(FileManager.default.createFile(atPath: "\(collection)/vectors-2.bin", contents: Data([1])))
        try FileManager.default.createDirectory(atPath: "\(folder.path)/collections/.new-x-1", withIntermediateDirectories: false)
        #expect(try await reading() == nil)
        #expect(!FileManager.default.fileExists(atPath: "\(collection)/vectors-2.bin"))
        #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/collections/.new-x-1"))
        #expect(FileManager.default.fileExists(atPath: database + ".txt"))
    }
}
