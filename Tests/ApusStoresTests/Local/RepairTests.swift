import ApusErrors
import ApusStores
import ApusVectors
import Foundation
import NIOConcurrencyHelpers
import Testing

@Suite struct RepairTests {
    private let folder: TemporaryFolder
    private let name: CollectionName
    private let documents: [Document]

    init() throws {
        folder = try TemporaryFolder()
        name = try CollectionName("things")
        var generator = SeededGenerator(seed: 5)
        documents = try (0..<400).map { index in
            Document(
                id: "document-\(index)", text: index % 4 == 0 ? nil : "text \(index) " + String(repeating: "x", count: index % 37),
                metadata: try Metadata(parsing: Array(#"{"number":\#(index),"even":\#(index % 2 == 0)}"#.utf8)),
                vector: (0..<16).map { _ in Float.random(in: -1...1, using: &generator) })
        }
    }

    private var store: LocalCollections { get throws { try LocalCollections(folder: folder.path, engine: CPUVectorSearch(threads: 1)) } }
    private var collection: String { "\(folder.path)/collections/things" }
    private var vectors: String { "\(collection)/vectors-1.bin" }
    private var database: String { "\(collection)/documents.sqlite" }
    /// Gone before the damage.
    private static let deleted: Set<String> = ["document-3", "document-77"]

    private func fill(_ storage: VectorStorage = .fp32) async throws {
        let store = try store
        _ = try await store.create(name, CollectionSettings(dimensions: 16, storage: storage, model: "m", weights: "w"))
        for start in stride(from: 0, to: documents.count, by: 50) { _ = try await store.write(Array(documents[start..<start + 50]), .add, into: name) }
        _ = try await store.delete(.ids(Array(Self.deleted)), from: name)
        await store.close()
    }

    private func repair(_ embedding: RepairEmbedding? = nil) async throws -> Result<RepairReport, ApusError> {
        let store = try store
        let result: Result<RepairReport, ApusError>
        do throws(ApusError) {
            result = .success(try await store.repair(name, embedding: embedding))
        } catch {
            result = .failure(error)
        }
        await store.close()
        return result
    }

    /// Everything that is there now is what was written, found by its vector and by its metadata and in the old order. Returns the ids.
    private func contents(_ what: String, except embedded: Set<String> = []) async throws -> Set<String> {
        let store = try store
        let parts: DocumentParts = [.text, .metadata, .vector]
        let stored = try await store.list(DocumentListing(limit: 1_000, parts: parts), of: name).documents
        let byID = Dictionary(uniqueKeysWithValues: documents.map { ($0.id, $0) })
        for found in stored {
            let document = try #require(byID[found.id], "\(what): \(found.id)")
            #expect(found.text == document.text && found.metadata?.encoded == document.metadata.encoded, "\(what): \(found.id)")
            if !embedded.contains(found.id) { #expect(found.vector == document.vector, "\(what): \(found.id)") }
        }
        let ids = Set(stored.map(\.id))
        let expected = documents.filter { ids.contains($0.id) && !embedded.contains($0.id) }
        if !expected.isEmpty {
            let queries = try VectorRows(expected.prefix(200).map(\.vector))
            let hits = try await store.search(CollectionSearch(queries, k: 1), in: name)
            #expect(zip(expected, hits).allSatisfy { $0.id == $1.first?.document.id }, "\(what)")
        }
        let even = try MetadataFilter(parsing: Array(#"{"even":true}"#.utf8))
        let filtered = try await store.list(DocumentListing(filter: even, limit: 1_000), of: name).documents.map(\.id)
        #expect(Set(filtered) == Set(documents.enumerated().filter { $0.offset % 2 == 0 && ids.contains($0.element.id) }.map(\.element.id)), "\(what)")
        await store.close()
        return ids
    }

    private func expectAccounted(_ report: RepairReport, _ ids: Set<String>, _ what: String) {
        let lost = Set(report.lost.compactMap(\.id))
        let unnamed = report.lost.count { $0.id == nil }
        let missing = Set(documents.map(\.id)).subtracting(Self.deleted).subtracting(ids)
        #expect(report.kept + report.embedded.count == ids.count, "\(what)")
        // A row that says of itself that it was deleted is the one thing that a changed byte can bring back or take away unseen.
        #expect(missing.subtracting(lost).count <= unnamed + 1, "\(what): \(missing) of which \(lost) are told")
        #expect(ids.subtracting(documents.map(\.id)).isEmpty)
    }

    @Test(arguments: VectorStorage.allCases)
    func `rows whose bytes were changed are dropped and named, and no other`(_ storage: VectorStorage) async throws {
        try await fill(storage)
        let whole = try folder.bytes(of: vectors)
        let first = documents[0].vector.flatMap { element in withUnsafeBytes(of: element.bitPattern.littleEndian) { Array($0) } }
        let exact = try #require(Data(whole).range(of: Data(first))).lowerBound
        var generator = SeededGenerator(seed: 21)
        var lost = 0
        for round in 0..<8 {
            var damaged = whole
            // In the short forms, which are made again of what is exact, and in the exact vectors.
            let start = round % 2 == 0 ? 4_096 : exact
            for _ in 0..<6 { damaged[Int.random(in: start..<start + 400 * 64, using: &generator)] ^= UInt8(1 << Int.random(in: 0..<8, using: &generator)) }
            try FileManager.default.removeItem(atPath: "\(folder.path)/collections")
            try await fill(storage)
            try folder.overwrite(vectors, with: damaged)
            let report = try (try await repair()).get()
            let ids = try await contents("round \(round)")
            #expect(ids == Set(documents.map(\.id)).subtracting(Self.deleted).subtracting(report.lost.compactMap(\.id)))
            #expect(report.lost.allSatisfy { $0.id != nil && $0.cause == .vector } && report.lost.count <= 6)
            #expect(report.kept == ids.count && report.embedded.isEmpty)
            lost += report.lost.count
            if let kept = report.damagedFiles {
                #expect(try folder.bytes(of: "\(kept)/vectors-1.bin") == damaged)
            }
            #expect(try (try await repair()).get().damagedFiles == nil)
        }
        #expect(lost > 5)
    }

    @Test(arguments: [0, 20, 4_096, 9_000, 20_000]) func `a file that was cut short keeps the rows in front of the cut`(_ length: Int) async throws {
        try await fill()
        let whole = try folder.bytes(of: vectors)
        try folder.overwrite(vectors, with: Array(whole[..<length]))
        let report = try (try await repair()).get()
        let ids = try await contents("\(length) bytes")
        #expect(ids.count + report.lost.count == documents.count - Self.deleted.count)
        #expect(report.lost.allSatisfy { $0.id != nil && $0.cause == .vector })
        #expect(length >= 9_000 ? ids.count > (length - 8_192) / 64 - 2 : ids.isEmpty)
    }

    @Test func `texts whose vectors are lost are embedded again, in their old places`() async throws {
        try await fill()
        try FileManager.default.removeItem(atPath: vectors)
        let asked = NIOLockedValueBox<[CollectionSettings]>([])
        let report = try (try await repair { settings, texts in
            asked.withLockedValue { $0.append(settings) }
            return texts.map { text in [Float(text.utf8.count)] + [Float](repeating: 1, count: 15) }
        }).get()
        #expect(asked.withLockedValue { $0 }.allSatisfy { $0.model == "m" && $0.weights == "w" && $0.dimensions == 16 })
        let texts = documents.filter { $0.text != nil && !Self.deleted.contains($0.id) }.map(\.id)
        #expect(report.embedded == texts && report.kept == 0)
        #expect(report.lost.count == documents.count - Self.deleted.count - texts.count && report.lost.allSatisfy { !$0.hasText })
        #expect(try await contents("embedded", except: Set(texts)) == Set(texts))
        let store = try store
        // Equally near: in the order of writing.
        let hits = try await store.search(CollectionSearch(VectorRows([[Float](repeating: 0, count: 15) + [1]]), k: 400, parts: []), in: name)
        #expect(hits.first?.count == texts.count)
        await store.close()
    }

    @Test func `an embedding that fails leaves everything as it was`() async throws {
        try await fill()
        var damaged = try folder.bytes(of: vectors)
        damaged[4_200] ^= 1
        try folder.overwrite(vectors, with: damaged)
        let error = await #expect(throws: ApusError.self) {
            try (try await repair { _, _ throws(ApusError) in throw ApusError(.engineFailure, "no") }).get()
        }
        #expect(error?.code == .engineFailure)
        #expect(try folder.bytes(of: vectors) == damaged)
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/collections") == ["things"])
    }

    @Test(arguments: [UInt64(1), 2, 3]) func `a documents' file with changed bytes gives what is whole of it, or says that it cannot`(_ seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        var (repaired, refused, lost) = (0, 0, 0)
        for round in 0..<10 {
            if FileManager.default.fileExists(atPath: "\(folder.path)/collections") { try FileManager.default.removeItem(atPath: "\(folder.path)/collections") }
            try await fill()
            var damaged = try folder.bytes(of: database)
            for _ in 0..<(round % 3 + 1) { damaged[Int.random(in: 0..<damaged.count, using: &generator)] ^= UInt8(1 << Int.random(in: 0..<8, using: &generator)) }
            try folder.overwrite(database, with: damaged)
            for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: database + suffix) }
            switch try await repair() {
            case .success(let report):
                repaired += 1
                lost += report.lost.count
                expectAccounted(report, try await contents("seed \(seed), round \(round)"), "seed \(seed), round \(round)")
            case .failure(let error):
                refused += 1
                #expect([.storeCorrupt, .storeUnavailable].contains(error.code), "\(error)")
                #expect(try folder.bytes(of: database).count == damaged.count)
            }
        }
        #expect(repaired > refused)
    }

    @Test func `a page of documents that is wiped out costs the documents on it, which are named`() async throws {
        try await fill()
        let whole = try folder.bytes(of: database)
        let marker = Array("document-200".utf8)
        let place = try #require((0..<whole.count - marker.count).first { whole[$0] == marker[0] && Array(whole[$0..<$0 + marker.count]) == marker })
        var damaged = whole
        let page = place / 4_096 * 4_096
        for offset in page..<page + 4_096 { damaged[offset] = 0xA5 }
        try folder.overwrite(database, with: damaged)
        let report = try (try await repair()).get()
        #expect(!report.lost.isEmpty && report.lost.allSatisfy { $0.cause == .document })
        let ids = try await contents("a page")
        expectAccounted(report, ids, "a page")
        #expect(ids.count > 100)
    }

    @Test func `what is whole is left alone, what is not there is told, and what cannot tell what it is is refused`() async throws {
        try await fill()
        let before = try folder.bytes(of: vectors)
        let report = try (try await repair()).get()
        #expect(report.damagedFiles == nil && report.lost.isEmpty && report.kept == documents.count - Self.deleted.count)
        #expect(try folder.bytes(of: vectors) == before)
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/collections") == ["things"])
        try folder.overwrite(database, with: Array("hello, world".utf8))
        guard case .failure(let error) = try await repair() else { throw Unexpected.success }
        #expect(error.code == .storeCorrupt && error.advice != nil)
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/collections") == ["things"])
        let store = try store
        let missing = await #expect(throws: ApusError.self) { try await store.repair(CollectionName("nothing")) }
        #expect(missing?.code == .collectionNotFound)
        await store.close()
    }

    @Test func `a repair that was killed between its last steps is ended when the folder is opened`() async throws {
        try await fill()
        try FileManager.default.moveItem(atPath: collection, toPath: "\(folder.path)/collections/.repaired-things")
        #expect(try await contents("in its place").count == documents.count - Self.deleted.count)
        try FileManager.default.copyItem(atPath: collection, toPath: "\(folder.path)/collections/.repaired-things")
        #expect(try await contents("the old one counts").count == documents.count - Self.deleted.count)
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/collections") == ["things"])
    }

    private enum Unexpected: Error { case success }
}
