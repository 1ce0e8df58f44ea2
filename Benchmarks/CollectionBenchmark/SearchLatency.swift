import ApusErrors
import ApusStores
import ApusVectors
import Foundation
import NIOConcurrencyHelpers

/// Searches one after the other for a while, in turns with and without somebody who writes as fast as it goes; prints the milliseconds of each
/// search as one JSON line a turn.
struct SearchLatency: Sendable {
    let folder: String
    let rows: Int
    /// Of one turn.
    let seconds: Double

    private static let dimensions = 384
    private static let batch = 100

    func run() async throws {
        let name = try CollectionName("searched")
        let store = try LocalCollections(folder: folder, engine: CPUVectorSearch())
        if try await store.names().contains(name) { try await store.drop(name) }
        _ = try await store.create(name, CollectionSettings(dimensions: Self.dimensions, metric: .dot))
        for start in stride(from: 0, to: rows, by: 2_000) {
            _ = try await store.write((start..<min(start + 2_000, rows)).map { Self.document($0, 0) }, .upsert, into: name)
        }
        for turn in 0..<6 {
            let isWriting = turn % 2 == 1
            let written = NIOLockedValueBox(0)
            let writing = Task { [rows] in
                var version = turn * 1_000_000
                while isWriting, !Task.isCancelled {
                    version += 1
                    let first = Int.random(in: 0..<max(1, rows - Self.batch))
                    _ = try await store.write((first..<first + Self.batch).map { Self.document($0, version) }, .upsert, into: name)
                    written.withLockedValue { $0 += Self.batch }
                }
            }
            let times = try await searches(store, name)
            writing.cancel()
            try? await writing.value
            let list = times.map { String(format: "%.4f", $0) }.joined(separator: ",")
            say(#"{"writing":\#(isWriting),"documents_per_second":\#(Double(written.withLockedValue { $0 }) / seconds),"milliseconds":[\#(list)]}"#)
            if isWriting { _ = try await store.compact(name) }
        }
        await store.close()
    }

    private func searches(_ store: LocalCollections, _ name: CollectionName) async throws -> [Double] {
        let clock = ContinuousClock()
        let end = clock.now + .seconds(seconds)
        var times: [Double] = []
        while clock.now < end {
            let query = try VectorRows([MadeVector.values(id: "query", version: times.count, dimensions: Self.dimensions)])
            let start = clock.now
            _ = try await store.search(CollectionSearch(query, k: 10), in: name)
            times.append(start.duration(to: clock.now) / .milliseconds(1))
        }
        return times
    }

    private static func document(_ number: Int, _ version: Int) -> Document {
        Document(
            id: "\(number)", text: "document \(number)", vector: MadeVector.values(id: "\(number)", version: version, dimensions: dimensions))
    }
}
