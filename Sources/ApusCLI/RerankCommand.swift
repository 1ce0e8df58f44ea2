import Apus
import ApusErrors
import ApusJSON
import ArgumentParser
import Logging

struct RerankCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rerank",
        abstract: "Order documents by how well they fit a query.",
        discussion: """
            The model is a cross-encoder: a sequence classifier with one label. Documents are the arguments after the query, the lines of a file, or \
            the lines of standard input.
            """)

    @Argument(help: "What the documents are to fit.")
    var query: String

    @Argument(help: "Documents to order.")
    var documents: [String] = []

    @Option(help: "A file with one document a line, UTF-8. - is standard input.")
    var file: String?

    @Option(help: "Tell only so many, the best ones.")
    var topN: Int?

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var scorer: ScorerOptions

    func validate() throws {
        guard documents.isEmpty || file == nil else { throw ValidationError("Give documents or --file, not both.") }
        guard !documents.isEmpty || file != nil || !Terminal.inputIsKeyboard else {
            throw ValidationError("Give documents, --file, or lines on standard input.")
        }
        if let topN, topN < 1 { throw ValidationError("--top-n must be at least 1.") }
    }

    func run() async throws {
        // Standard error is for the one line that says why the command failed.
        LoggingSystem.bootstrap { _ in SwiftLogNoOpLogHandler() }
        let documents = try self.documents.isEmpty ? TextLines.read(file ?? "-") : self.documents
        let reranker = try await Reranker.load(
            scorer.model, precision: scorer.precision, precisionFloor: scorer.precisionFloor, installation: scorer.installation)
        let ranked = try await reranker.rank(query, documents).prefix(topN ?? .max)
        if json {
            try Terminal.standardOutput(Self.json(reranker.model, ranked, documents) + [UInt8(ascii: "\n")])
        } else {
            let rows = ranked.map { [Figures.score($0.score), String($0.index), TextTable.cell(documents[$0.index])] }
            try Terminal.standardOutput(TextTable(["SCORE", "INDEX", "DOCUMENT"], rows, shortened: 2).text)
        }
    }

    private static func json(_ model: String, _ ranked: ArraySlice<RankedDocument>, _ documents: [String]) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("model", model)
        writer.key("results")
        writer.beginArray()
        for document in ranked {
            writer.beginObject()
            writer.member("index", document.index)
            writer.key("relevance_score")
            writer.number(document.score)
            writer.key("document")
            writer.beginObject()
            writer.member("text", documents[document.index])
            writer.endObject()
            writer.member("tokens", document.tokens)
            writer.member("truncated", document.truncated)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }
}
