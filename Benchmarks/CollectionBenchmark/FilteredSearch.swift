import ApusErrors
import ApusStores
import ApusVectors

/// Searches a collection of documents with metadata, once with each filter to warm up and then ten times; one JSON line a filter: hits, and the
/// milliseconds of the median search.
struct FilteredSearch: Sendable {
    let folder: String
    let rows: Int
    /// JSON; the empty text stands for no filter.
    let filters: [String]

    private static let dimensions = 64

    func run() async throws {
        let name = try CollectionName("filtered")
        let store = try LocalCollections(folder: folder, engine: CPUVectorSearch())
        _ = try await store.create(name, CollectionSettings(dimensions: Self.dimensions, metric: .dot))
        for start in stride(from: 0, to: rows, by: 5_000) {
            _ = try await store.write((start..<min(start + 5_000, rows)).map { try Self.document($0) }, .add, into: name)
        }
        let query = try VectorRows([MadeVector.values(id: "query", version: 0, dimensions: Self.dimensions)])
        let clock = ContinuousClock()
        for text in filters {
            let filter = text.isEmpty ? nil : try MetadataFilter(parsing: Array(text.utf8))
            let search = CollectionSearch(query, k: 10, filter: filter, parts: [])
            var times: [Double] = []
            var hits = 0
            for _ in 0..<11 {
                let start = clock.now
                hits = try await store.search(search, in: name).first?.count ?? 0
                times.append(start.duration(to: clock.now) / .milliseconds(1))
            }
            say(#"{"hits":\#(hits),"milliseconds":\#(times.dropFirst().sorted()[5])}"#)
        }
        await store.close()
    }

    private static func document(_ number: Int) throws -> Document {
        let metadata = #"{"number":\#(number),"year":\#(1950 + number % 70),"genre":"g\#(number % 12)","tags":["t\#(number % 5)","u"]}"#
        return Document(
            id: "\(number)", text: "document \(number)", metadata: try Metadata(parsing: Array(metadata.utf8)),
            vector: MadeVector.values(id: "\(number)", version: 0, dimensions: dimensions))
    }
}
