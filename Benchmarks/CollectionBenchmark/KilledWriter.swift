import ApusErrors
import ApusStores
import ApusVectors

/// Three writers with documents of their own, and compactions now and then, until somebody ends the process.
///
/// Lines: `t WRITER u VERSION FIRST COUNT` before documents `WRITER-FIRST …` are replaced by that version, `t WRITER d VERSION FIRST COUNT` before
/// they are deleted, `a WRITER` when it was acknowledged.
struct KilledWriter: Sendable {
    let folder: String
    let round: Int
    /// Documents of each writer.
    let documents: Int

    static let collection = "killed"

    func run() async throws(ApusError) {
        let name = try CollectionName(Self.collection)
        let store = try LocalCollections(folder: folder, engine: CPUVectorSearch(threads: 1))
        if try await !store.names().contains(name) {
            _ = try await store.create(name, CollectionSettings(dimensions: MadeVector.dimensions, metric: .dot))
        }
        let before = try await store.describe(name)
        say("o \(before.documents)")
        let result = await withTaskGroup(of: ApusError?.self) { group in
            for writer in 0..<3 { group.addTask { await Self.failure { () throws(ApusError) in try await self.write(writer, store, name) } } }
            group.addTask {
                await Self.failure { () throws(ApusError) in
                    while !Task.isCancelled {
                        try? await Task.sleep(for: .milliseconds(150))
                        _ = try await store.compact(name)
                    }
                }
            }
            return await group.next() ?? nil
        }
        if let result { throw result }
    }

    private func write(_ writer: Int, _ store: LocalCollections, _ name: CollectionName) async throws(ApusError) {
        var version = round * 100_000
        while true {
            version += 1
            let count = Int.random(in: 1...200)
            let first = Int.random(in: 0...max(0, documents - count))
            let ids = (first..<min(documents, first + count)).map { "\(writer)-\($0)" }
            if version % 5 == 0 {
                say("t \(writer) d \(version) \(first) \(ids.count)")
                _ = try await store.delete(.ids(ids), from: name)
            } else {
                var batch: [Document] = []
                for id in ids { batch.append(try MadeVector.document(id: id, version: version)) }
                say("t \(writer) u \(version) \(first) \(ids.count)")
                _ = try await store.write(batch, .upsert, into: name)
            }
            say("a \(writer)")
        }
    }

    private static func failure(_ body: () async throws(ApusError) -> Void) async -> ApusError? {
        do throws(ApusError) {
            try await body()
            return nil
        } catch {
            return error
        }
    }
}
