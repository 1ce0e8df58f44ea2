import Apus
import ApusErrors
import ApusJSON
import ApusStores
import ApusVectors
import ArgumentParser
import Logging

struct SearchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "search",
        abstract: "Find the documents of a collection that are nearest to a text.",
        discussion: """
            The model is the one that the collection was made with, by its name, or --model. A filter is JSON over the documents' metadata: \
            '{"year": {"$gte": 2020}}'. A server may write into the data folder meanwhile.
            """)

    @Argument(help: "The collection.")
    var collection: CollectionName

    @Argument(help: "What to look for.")
    var query: String

    @Option(name: .shortAndLong, help: "Documents to show.")
    var k = 10

    @Option(help: "Only documents whose metadata pass this filter, JSON.")
    var filter: String?

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var data: DataOptions
    @OptionGroup var model: ModelOptions

    func validate() throws {
        guard (1...SearchLimits.standard.maxK).contains(k) else {
            throw ValidationError("-k must be 1 to \(SearchLimits.standard.maxK).")
        }
        guard !query.allSatisfy(\.isWhitespace) else { throw ValidationError("There is nothing to search for: the query is empty.") }
    }

    func run() async throws {
        // Standard error is for the one line that says why the command failed.
        LoggingSystem.bootstrap { _ in SwiftLogNoOpLogHandler() }
        let filter = try self.filter.map { text throws(ApusError) in try MetadataFilter(parsing: Array(text.utf8), place: "--filter") }
        let store = try data.collections(.readOnly)
        let settings = try await store.describe(collection).settings
        var model = model
        model.model = model.model ?? settings.model
        let embedder = try await model.embedder(devices: nil, ParallelOptions.parse([]))
        try settings.expect(model: embedder.model, weights: embedder.weightsSHA256, dimensions: embedder.dimensions, of: collection)
        let vector = try await embedder.embed(query)
        let search = CollectionSearch(try VectorRows([vector]), k: k, filter: filter)
        let hits = try await store.search(search, in: collection).first ?? []
        if json {
            try Terminal.standardOutput(output(hits, embedder.model, settings.metric) + [UInt8(ascii: "\n")])
        } else {
            let rows = hits.map {
                [Figures.score(settings.metric.reading($0.score)), TextTable.cell($0.document.id), TextTable.cell($0.document.text ?? "")]
            }
            let heading = settings.metric == .l2 ? "DISTANCE" : "SCORE"
            try Terminal.standardOutput(TextTable([heading, "ID", "TEXT"], rows, shortened: 2).text)
        }
    }

    private func output(_ hits: [CollectionHit], _ model: String, _ metric: VectorMetric) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("collection", collection.text)
        writer.member("model", model)
        writer.member("query", query)
        writer.member("metric", metric.rawValue)
        writer.key("hits")
        writer.beginArray()
        for hit in hits {
            writer.beginObject()
            writer.member("id", hit.document.id)
            writer.key("score")
            writer.number(hit.score)
            writer.optional("text", hit.document.text)
            writer.key("metadata")
            writer.value(.object(hit.document.metadata?.object ?? JSONObject()))
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }
}
