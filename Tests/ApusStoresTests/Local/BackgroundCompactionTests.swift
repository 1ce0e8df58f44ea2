import ApusErrors
import ApusStores
import ApusVectors
import Foundation
import NIOConcurrencyHelpers
import Testing

@Suite(.timeLimit(.minutes(2))) struct BackgroundCompactionTests {
    private let folder: TemporaryFolder
    private let name: CollectionName
    private let events = NIOLockedValueBox<[CollectionEvent]>([])

    init() throws {
        folder = try TemporaryFolder()
        name = try CollectionName("things")
    }

    private func store(_ policy: CompactionPolicy?) throws -> LocalCollections {
        let events = events
        return try LocalCollections(
            folder: folder.path, engine: CPUVectorSearch(threads: 2), compaction: policy, observer: { event in events.withLockedValue { $0.append(event) } })
    }

    /// The first compaction that was told of; waits for it.
    private func ended() async throws -> CollectionEvent {
        while true {
            if let event = events.withLockedValue({ $0.first }) { return event }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    private func documents(_ range: Range<Int>, _ version: Int = 0) -> [Document] {
        range.map { Document(id: "d\($0)", text: "\(version)", vector: [Float($0), Float(version)]) }
    }

    @Test func `a collection is compacted when so much was deleted, and not before`() async throws {
        let store = try store(CompactionPolicy(share: 0.5, minimum: 50))
        _ = try await store.create(name, CollectionSettings(dimensions: 2))
        _ = try await store.write(documents(0..<200), .add, into: name)
        _ = try await store.delete(.ids((0..<99).map { "d\($0)" }), from: name)
        #expect(try await store.describe(name).deleted == 99)
        _ = try await store.delete(.ids(["d99"]), from: name)
        guard case .compacted(let compacted, let report, _) = try await ended() else { throw Unexpected.event }
        #expect(compacted == name && report.removed == 100)
        let after = try await store.describe(name)
        #expect(after.deleted == 0 && after.documents == 100)
        // Few are left alone, whatever their share.
        _ = try await store.delete(.ids((100..<140).map { "d\($0)" }), from: name)
        _ = try await store.write(documents(140..<149, 1), .upsert, into: name)
        #expect(try await store.describe(name).deleted == 49)
        await store.close()
        #expect(events.withLockedValue { $0.count } == 1)
    }

    @Test func `without a policy nothing happens by itself`() async throws {
        let store = try store(nil)
        _ = try await store.create(name, CollectionSettings(dimensions: 2))
        for version in 0..<20 { _ = try await store.write(documents(0..<100, version), .upsert, into: name) }
        #expect(try await store.describe(name).deleted == 1_900)
        await store.close()
        #expect(events.withLockedValue { $0.isEmpty })
    }

    @Test func `searches and writes go on meanwhile, each meeting every document once`() async throws {
        let store = try store(CompactionPolicy(share: 0.3, minimum: 100))
        let name = name
        _ = try await store.create(name, CollectionSettings(dimensions: 2, metric: .dot))
        _ = try await store.write(documents(0..<100), .add, into: name)
        let versions = (1...60).map { documents(0..<100, $0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { for version in versions { _ = try await store.write(version, .upsert, into: name) } }
            for _ in 0..<2 {
                group.addTask {
                    for _ in 0..<80 {
                        let hits = try await store.search(CollectionSearch(VectorRows([[1, 0]]), k: 200, parts: [.text, .vector]), in: name).first ?? []
                        #expect(hits.count == 100 && Set(hits.compactMap(\.document.text)).count == 1)
                        for hit in hits { #expect(hit.document.vector == [hit.score, Float(hit.document.text ?? "") ?? -1]) }
                    }
                }
            }
            try await group.waitForAll()
        }
        _ = try await ended()
        await store.close()
        let told = events.withLockedValue { $0 }
        #expect(told.allSatisfy { if case .compacted = $0 { true } else { false } })
        let again = try self.store(nil)
        #expect(try await again.describe(name).documents == 100)
        #expect(try await again.list(DocumentListing(limit: 1_000), of: name).documents.allSatisfy { $0.text == "60" })
        await again.close()
    }

    @Test func `closing and dropping end what is being compacted, and what was written stays`() async throws {
        for round in 0..<12 {
            let store = try store(CompactionPolicy(share: 0.1, minimum: 1))
            if round % 3 == 0 { _ = try await store.create(name, CollectionSettings(dimensions: 2)) }
            _ = try await store.write(documents(0..<300, round), .upsert, into: name)
            _ = try await store.write(documents(0..<300, round + 1), .upsert, into: name)
            if round % 3 == 2 { try await store.drop(name) }
            await store.close()
            guard round % 3 != 2 else { continue }
            let again = try self.store(nil)
            let stored = try await again.list(DocumentListing(limit: 1_000), of: name).documents
            #expect(stored.count == 300 && stored.allSatisfy { $0.text == "\(round + 1)" })
            await again.close()
        }
    }

    @Test func `a compaction that fails is told and not tried at every write`() async throws {
        let store = try store(CompactionPolicy(share: 0.5, minimum: 10))
        _ = try await store.create(name, CollectionSettings(dimensions: 2))
        _ = try await store.write(documents(0..<40), .add, into: name)
        // A living row changes under the store's hands.
        let path = "\(folder.path)/collections/things/vectors-1.bin"
        let element = withUnsafeBytes(of: Float(39).bitPattern.littleEndian) { Data($0) }
        let place = try #require(try Data(contentsOf: URL(fileURLWithPath: path)).range(of: element)).lowerBound
        let file = try #require(FileHandle(forUpdatingAtPath: path))
        try file.seek(toOffset: UInt64(place))
        try file.write(contentsOf: Data([1, 1, 1, 1]))
        try file.close()
        _ = try await store.delete(.ids((0..<20).map { "d\($0)" }), from: name)
        guard case .compactionFailed(let failed, let error) = try await ended() else { throw Unexpected.event }
        #expect(failed == name && error.code == .storeCorrupt)
        _ = try await store.delete(.ids(["d20"]), from: name)
        _ = try await store.delete(.ids(["d21"]), from: name)
        await store.close()
        #expect(events.withLockedValue { $0.count } == 1)
    }

    @Test(arguments: [0, -0.1, 1.1, .nan]) func `shares that are none are refused`(_ share: Double) {
        #expect(throws: ApusError.self) { try CompactionPolicy(share: share) }
    }

    private enum Unexpected: Error { case event }
}
