import Apus
import ApusConfiguration
import ApusErrors
import ApusJSON
import ApusStores
import ApusTensor
import ApusVectors
import ArgumentParser
import Logging

struct IndexCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "index",
        abstract: "Put texts and their vectors into a collection.",
        discussion: """
            Reads the lines of a text file (an empty line is passed over), the objects of a JSON Lines file (.jsonl, .ndjson), a Markdown file, or the \
            .txt and .md files below a folder; - is standard input. Markdown files and the files of a folder are cut into chunks of tokens that overlap. \
            Run it again after a change or an interruption: what is stored unchanged is not computed again.
            """)

    @Argument(help: "A file, a folder, or - for standard input.")
    var source: String

    @Option(help: "The collection; made when there is none of the name, which has 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'.")
    var into: CollectionName

    @Option(help: "How the source is read: lines, jsonl, or text (cut into chunks). (default: by the name's ending)")
    var format: IndexFormat?

    @Option(help: "JSON Lines: the member with the text.")
    var textField = "text"

    @Option(help: "JSON Lines: the member with the id; where an object has none, it is named by file and line.")
    var idField = "id"

    @Option(help: "JSON Lines: a member to keep as metadata; may be given several times. (default: the members of the object 'metadata')")
    var metadataField: [String] = []

    @Option(help: "Tokens of a chunk. (default: 256, or what the model takes if that is less)")
    var chunkTokens: Int?

    @Option(help: "Tokens that a chunk repeats of the one before. (default: 32, or a quarter of a chunk if that is less)")
    var chunkOverlap: Int?

    @Option(help: "A new collection's metric: cosine, dot or l2.")
    var metric: VectorMetric?

    @Option(help: "A new collection's storage: fp32, fp16, bf16 or int8; all but fp32 keep the exact vectors, too.")
    var storage: VectorStorage?

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var data: DataOptions
    @OptionGroup var model: ModelOptions

    @Option(help: "CPU devices that share the model: cpu:2 (two logical devices), … (default: one device of all cores)")
    var devices: String?

    @OptionGroup var parallel: ParallelOptions

    func validate() throws {
        guard devices != nil || parallel.options.isEmpty else {
            throw ValidationError("\(parallel.options[0].spelling) needs devices to share the model: give --devices, such as cpu:2.")
        }
        guard devices == nil || (model.segmentCount ?? 1) == 1 else { throw ValidationError("Give --devices or segments, not both.") }
        if let chunkTokens, chunkTokens < 8 { throw ValidationError("--chunk-tokens must be at least 8.") }
        if let chunkOverlap, chunkOverlap < 0 { throw ValidationError("--chunk-overlap must not be negative.") }
    }

    func run() async throws {
        // Standard error is for progress and the one line that says why the command failed.
        LoggingSystem.bootstrap { _ in SwiftLogNoOpLogHandler() }
        let store = try data.collections(.readWrite)
        do {
            try await run(store)
        } catch {
            await store.close()
            throw error
        }
        await store.close()
    }

    private func run(_ store: any CollectionStore) async throws {
        let existing = try await found(in: store)
        if let existing { try expectSame(existing.settings) }
        let reading = try IndexReading(
            source, format: format,
            fields: JSONLineFields(text: textField, id: idField, metadata: metadataField))
        let embedder = try await model.embedder(devices: devices, parallel)
        let chunks = try ChunkSize(tokens: chunkTokens, overlap: chunkOverlap, of: embedder)
        let settings = try CollectionSettings(
            dimensions: embedder.dimensions, metric: metric ?? .cosine, storage: storage ?? .fp32, model: embedder.model,
            weights: embedder.weightsSHA256)
        if let existing {
            try existing.settings.expect(
                model: embedder.model, weights: embedder.weightsSHA256, dimensions: embedder.dimensions, of: into)
        } else {
            _ = try await store.create(into, settings)
        }
        let run = IndexRun(store: store, collection: into, embedder: embedder, reader: IndexReader(reading, chunks, embedder))
        let report: IndexReport
        do throws(ApusError) {
            report = try await run.run()
        } catch {
            if existing == nil { await dropIfEmpty(store) }
            throw error
        }
        try Terminal.standardOutput(json ? report.json + [UInt8(ascii: "\n")] : Array(report.text.utf8))
    }

    /// The collection as it is; nil where there is none.
    private func found(in store: any CollectionStore) async throws(ApusError) -> CollectionDescription? {
        do throws(ApusError) {
            return try await store.describe(into)
        } catch {
            guard error.code == .collectionNotFound else { throw error }
            return nil
        }
    }

    /// A collection that was made for this and got nothing is not left behind.
    private func dropIfEmpty(_ store: any CollectionStore) async {
        if let made = try? await store.describe(into), made.documents == 0 { try? await store.drop(into) }
    }

    /// What was asked for and cannot be changed any more.
    private func expectSame(_ settings: CollectionSettings) throws(ApusError) {
        if let metric, metric != settings.metric {
            throw ApusError(.invalidValue, "the collection '\(into)' has the metric \(settings.metric.rawValue)", place: "--metric")
        }
        if let storage, storage != settings.storage {
            throw ApusError(.invalidValue, "the collection '\(into)' has the storage \(settings.storage.rawValue)", place: "--storage")
        }
    }
}

/// How a source is read.
enum IndexFormat: String, ExpressibleByArgument, CaseIterable {
    case lines
    case jsonl
    case text
}

extension ModelOptions {
    /// The model, shared among `devices` where they are named.
    func embedder(devices: String?, _ parallel: ParallelOptions) async throws(ApusError) -> Embedder {
        let name = model ?? Installation.defaultModel
        guard let parallelism = parallel.parallelism(on: devices) else {
            return try await Embedder.load(
                name, precision: precision, precisionFloor: precisionFloor, segments: segmentCount, offload: offload, caching: .off,
                installation: installation)
        }
        return try await Embedder.load(
            name, sharing: parallelism, precision: precision, precisionFloor: precisionFloor, installation: installation)
    }
}
