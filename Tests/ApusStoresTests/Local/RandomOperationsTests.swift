import ApusErrors
import ApusJSON
import ApusStores
import ApusVectors
import Testing

@Suite struct RandomOperationsTests {
    @Test(arguments: [(1, VectorStorage.fp32), (2, .fp32), (3, .fp16), (4, .int8)] as [(UInt64, VectorStorage)])
    func `a collection is what a naive one is, whatever is done to it`(_ seed: UInt64, _ storage: VectorStorage) async throws {
        let folder = try TemporaryFolder()
        try await RandomOperations.run(seed, storage, steps: 160) { try LocalCollections(folder: folder.path, engine: CPUVectorSearch(threads: 2)) }
    }
}

/// What every store is to do, whatever it keeps collections in: the same random calls to it and to a collection that is searched by looking at
/// every document.
enum RandomOperations {
    /// - Parameter open: opens the store, which is closed and opened again now and then.
    static func run(_ seed: UInt64, _ storage: VectorStorage, steps: Int, _ open: () throws -> any CollectionStore) async throws {
        var generator = SeededGenerator(seed: seed)
        let name = try CollectionName("things")
        var store = try open()
        _ = try await store.create(name, CollectionSettings(dimensions: 24, metric: .dot, storage: storage))
        var naive = NaiveCollection()
        for step in 0..<steps {
            switch Int.random(in: 0..<100, using: &generator) {
            case 0..<45:
                let documents = try documents(&generator)
                let mode: WriteMode = Bool.random(using: &generator) ? .upsert : .add
                let isTaken = naive.write(documents, mode)
                do throws(ApusError) {
                    let receipt = try await store.write(documents, mode, into: name)
                    #expect(isTaken && receipt.added + receipt.replaced == documents.count, "step \(step)")
                } catch {
                    #expect(!isTaken && error.code == .documentExists, "step \(step): \(error)")
                }
            case 45..<55:
                let ids = (0..<Int.random(in: 1...20, using: &generator)).map { _ in id(&generator) }
                let unique = Array(Set(ids))
                #expect(try await store.delete(.ids(ids), from: name) == naive.delete(unique), "step \(step)")
            case 55..<60:
                let filter = try filter(&generator)
                #expect(try await store.delete(.filter(filter), from: name) == naive.delete(filter), "step \(step)")
            case 60..<66:
                let before = try await store.describe(name)
                let report = try await store.compact(name)
                #expect(report.removed == before.deleted, "step \(step)")
                #expect(try await store.describe(name).deleted == 0)
            case 66..<72:
                await store.close()
                store = try open()
            default:
                try await compare(store, name, naive, &generator, step)
            }
        }
        try await compare(store, name, naive, &generator, steps)
        #expect(try await store.describe(name).documents == naive.entries.count)
        await store.close()
    }

    private static func compare(
        _ store: any CollectionStore, _ name: CollectionName, _ naive: NaiveCollection, _ generator: inout SeededGenerator, _ step: Int
    ) async throws {
        let filter = Int.random(in: 0..<3, using: &generator) == 0 ? nil : try filter(&generator)
        let queries = (0..<2).map { _ in vector(&generator) }
        let k = Int.random(in: 1...30, using: &generator)
        let found = try await store.search(
            CollectionSearch(VectorRows(queries), k: k, filter: filter, parts: [.text, .metadata, .vector]), in: name)
        for (query, hits) in zip(queries, found) {
            let expected = naive.search(query, k: k, filter)
            #expect(hits.map(\.document.id) == expected.map(\.id), "step \(step)")
            #expect(hits.map(\.score) == expected.map(\.score), "step \(step)")
            for hit in hits { try same(hit.document, naive.entries[hit.document.id]?.document) }
        }
        var listed: [String] = []
        var after: String?
        repeat {
            let page = try await store.list(DocumentListing(filter: filter, after: after, limit: 7), of: name)
            listed += page.documents.map(\.id)
            after = page.next
        } while after != nil
        #expect(listed == naive.list(filter), "step \(step)")
        let ids = (0..<10).map { _ in id(&generator) }
        for (id, document) in zip(ids, try await store.documents(ids, of: name, including: [.text, .metadata, .vector])) {
            #expect((document == nil) == (naive.entries[id] == nil))
            if let document { try same(document, naive.entries[id]?.document) }
        }
    }

    private static func same(_ stored: StoredDocument, _ document: Document?) throws {
        let document = try #require(document)
        #expect(stored.id == document.id && stored.text == document.text && stored.vector == document.vector)
        #expect(stored.metadata?.encoded == document.metadata.encoded)
    }

    private static func id(_ generator: inout SeededGenerator) -> String { "d\(Int.random(in: 0..<150, using: &generator))" }

    private static func vector(_ generator: inout SeededGenerator) -> [Float] {
        (0..<24).map { _ in Float(Int.random(in: -3...3, using: &generator)) }
    }

    private static func documents(_ generator: inout SeededGenerator) throws -> [Document] {
        var ids: Set<String> = []
        for _ in 0..<Int.random(in: 1...25, using: &generator) { ids.insert(id(&generator)) }
        return try ids.sorted().map { id in
            let texts: [String?] = [nil, "", "text of \(id)", "null \0 inside", "é"]
            let year = Int.random(in: 2000..<2006, using: &generator)
            let genre = ["drama", "comedy", "é", "e\u{301}"].randomElement(using: &generator) ?? ""
            let metadata = [
                #"{"year":\#(year),"genre":"\#(genre)","tags":["a",\#(year % 3)]}"#, #"{"year":\#(year).5,"author":{"name":"\#(genre)"}}"#, "{}",
                #"{"year":"\#(year)","seen":\#(year % 2 == 0),"none":null}"#,
            ].randomElement(using: &generator) ?? "{}"
            return Document(
                id: id, text: texts.randomElement(using: &generator) ?? nil, metadata: try Metadata(parsing: Array(metadata.utf8)),
                vector: vector(&generator))
        }
    }

    private static func filter(_ generator: inout SeededGenerator) throws -> MetadataFilter {
        let year = Int.random(in: 1999...2006, using: &generator)
        let leaves = [
            #"{"year":\#(year)}"#, #"{"year":{"$gt":\#(year)}}"#, #"{"year":{"$lte":\#(year).5,"$gte":2001}}"#, #"{"genre":"drama"}"#,
            #"{"genre":{"$ne":"é"}}"#, #"{"genre":{"$in":["é","comedy"]}}"#, #"{"genre":{"$nin":["drama"]}}"#, #"{"tags":{"$contains":"a"}}"#,
            #"{"tags":{"$contains":\#(year % 3)}}"#, #"{"author.name":{"$exists":true}}"#, #"{"author":{"$exists":false}}"#, #"{"none":null}"#,
            #"{"seen":true}"#, #"{"year":{"$lt":"2003"}}"#, #"{"absent":1}"#, #"{"absent":{"$nin":[1]}}"#, "{}",
        ]
        func leaf() -> String { leaves.randomElement(using: &generator) ?? "{}" }
        let text =
            switch Int.random(in: 0..<5, using: &generator) {
            case 0: #"{"$and":[\#(leaf()),\#(leaf()),\#(leaf())]}"#
            case 1: #"{"$or":[\#(leaf()),\#(leaf())]}"#
            case 2: #"{"$not":\#(leaf())}"#
            case 3: #"{"$and":[\#(leaf()),{"$not":{"$or":[\#(leaf()),\#(leaf())]}}]}"#
            default: leaf()
            }
        return try MetadataFilter(parsing: Array(text.utf8))
    }
}
