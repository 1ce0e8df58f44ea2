import Apus
import ApusErrors
import ApusStores

/// Embeds and stores everything a reader gives. While parts are computed, the part before them is stored and the next one read.
struct IndexRun: Sendable {
    /// A part that was read, and what of it is not stored yet.
    private struct Part: Sendable {
        var window: IndexReader.Window
        var pending: [IndexedText]
    }

    let store: any CollectionStore
    let collection: CollectionName
    let embedder: Embedder
    let reader: IndexReader

    /// A part whose vectors are being computed.
    private struct Computation: Sendable {
        let part: Part
        let embeddings: Task<Result<[Embedding], ApusError>, Never>
    }

    /// Texts of a part: full batches, and little to do again after a kill.
    private static let window = 1_024
    /// Parts that are computed at the same time, so that no core is idle at the end of one; few enough for the queue of the model.
    private static let depth = 2

    /// Throws what reading, computing and storing throw; what was stored stays.
    func run() async throws(ApusError) -> IndexReport {
        let clock = ContinuousClock()
        let started = clock.now
        var report = IndexReport(collection: collection.text, model: embedder.model)
        let progress = ProgressLine(total: reader.total, unit: reader.unit)
        defer { progress.finish() }
        // In an empty collection nothing is stored already: ids come once.
        let looksUp = try await store.describe(collection).documents > 0
        var reading: Task<Result<Part, ApusError>, Never>? = readNext(lookingUp: looksUp)
        var computing: [Computation] = []
        defer { for computation in computing { computation.embeddings.cancel() } }
        func fill() async throws(ApusError) {
            while computing.count < Self.depth, let next = reading {
                let part = try await next.value.get()
                report.empty += part.window.empty
                guard part.window.done > 0, !(part.window.texts.isEmpty && part.window.ended.isEmpty) else {
                    reading = nil
                    return
                }
                reading = readNext(lookingUp: looksUp)
                computing.append(Computation(part: part, embeddings: embed(part.pending)))
            }
        }
        var writing: Task<Result<WriteReceipt, ApusError>, Never>?
        try await fill()
        while let first = computing.first {
            let (part, embeddings) = (first.part, try await first.embeddings.value.get())
            computing.removeFirst()
            try await fill()
            if let writing { report.count(try await writing.value.get()) }
            writing = write(zip(part.pending, embeddings).map { Document(id: $0.id, text: $0.text, metadata: $0.metadata, vector: $1.vector) })
            report.unchanged += part.window.texts.count - part.pending.count
            report.truncated += embeddings.reduce(0) { $0 + ($1.truncated ? 1 : 0) }
            for file in part.window.ended { report.removed += try await removeChunks(of: file.source, from: file.chunks) }
            progress.update(done: part.window.done)
        }
        if let writing { report.count(try await writing.value.get()) }
        report.documents = try await store.describe(collection).documents
        report.seconds = started.duration(to: clock.now) / .seconds(1)
        return report
    }

    private func embed(_ texts: [IndexedText]) -> Task<Result<[Embedding], ApusError>, Never> {
        Task {
            do throws(ApusError) {
                return .success(try await embedder.embedWithDetails(texts.map(\.text)))
            } catch {
                return .failure(error)
            }
        }
    }

    private func readNext(lookingUp looksUp: Bool) -> Task<Result<Part, ApusError>, Never> {
        Task {
            do throws(ApusError) {
                let window = try await reader.next(Self.window)
                guard looksUp else { return .success(Part(window: window, pending: window.texts)) }
                var pending: [IndexedText] = []
                for start in stride(from: 0, to: window.texts.count, by: Self.window) {
                    let texts = window.texts[start..<min(start + Self.window, window.texts.count)]
                    let stored = try await store.documents(texts.map(\.id), of: collection, including: [.text, .metadata])
                    for (text, document) in zip(texts, stored) where !text.isStored(as: document) { pending.append(text) }
                }
                return .success(Part(window: window, pending: pending))
            } catch {
                return .failure(error)
            }
        }
    }

    private func write(_ documents: [Document]) -> Task<Result<WriteReceipt, ApusError>, Never> {
        Task {
            do throws(ApusError) {
                var receipt = WriteReceipt(added: 0, replaced: 0)
                for start in stride(from: 0, to: documents.count, by: Self.window) {
                    let part = try await store.write(
                        Array(documents[start..<min(start + Self.window, documents.count)]), .upsert, into: collection)
                    receipt.added += part.added
                    receipt.replaced += part.replaced
                }
                return .success(receipt)
            } catch {
                return .failure(error)
            }
        }
    }

    /// Deletes chunks of a file that were stored when it was longer.
    private func removeChunks(of source: String, from count: Int) async throws(ApusError) -> Int {
        let next = try await store.documents(["\(source)#\(count)"], of: collection, including: []).compactMap { $0 }
        guard !next.isEmpty else { return 0 }
        return try await store.delete(
            .filter(
                .and([
                    .field(MetadataPath("source"), .equal(.string(source))),
                    .field(MetadataPath("chunk"), .greaterOrEqual(.integer(Int64(count)))),
                ])), from: collection)
    }
}

extension IndexReport {
    fileprivate mutating func count(_ receipt: WriteReceipt) {
        added += receipt.added
        replaced += receipt.replaced
    }
}
