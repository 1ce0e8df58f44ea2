import Apus
import ApusErrors
import ApusJSON
import ApusStores
import ArgumentParser
import Logging
import NIOConcurrencyHelpers

struct RepairCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair", abstract: "Keep of a damaged collection what is whole.",
        discussion: """
            Every document whose checksums hold is kept, in the order of writing; the others are named. No vector is guessed. The damaged files stay, \
            under a name that is printed: delete them when nothing of them is wanted any more. A collection without damage is left as it is. The data \
            folder must not be in use by a server.
            """)

    @Argument(help: "The collection.")
    var collection: CollectionName

    @Flag(help: "Make the vectors that are lost again, of the texts that are stored, by the collection's model.")
    var embed = false

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var data: DataOptions
    @OptionGroup var model: ModelOptions

    func run() async throws {
        LoggingSystem.bootstrap { _ in SwiftLogNoOpLogHandler() }
        let store = try data.files()
        let embedding = embed ? try embedding() : nil
        let result: Result<RepairReport, ApusError>
        do throws(ApusError) {
            result = .success(try await store.repair(collection, embedding: embedding))
        } catch {
            result = .failure(error)
        }
        await store.close()
        let report = try result.get()
        try Terminal.standardOutput(json ? output(report) + [UInt8(ascii: "\n")] : Array(text(report).utf8))
    }

    /// The model is loaded when the first vector is wanted.
    private func embedding() throws -> RepairEmbedding {
        let loaded = NIOLockedValueBox<Embedder?>(nil)
        let (options, collection, parallel) = (model, collection, try ParallelOptions.parse([]))
        return { settings, texts throws(ApusError) in
            var embedder = loaded.withLockedValue { $0 }
            if embedder == nil {
                var model = options
                model.model = model.model ?? settings.model
                embedder = try await model.embedder(devices: nil, parallel)
                loaded.withLockedValue { [embedder] in $0 = embedder }
            }
            guard let embedder else { return [] }
            try settings.expect(model: embedder.model, weights: embedder.weightsSHA256, dimensions: embedder.dimensions, of: collection)
            return try await embedder.embedWithDetails(texts).map(\.vector)
        }
    }

    private func text(_ report: RepairReport) -> String {
        guard let damaged = report.damagedFiles else { return "\(collection) has no damage: \(report.kept) documents\n" }
        var lines = ["\(report.kept) documents kept, \(report.embedded.count) embedded again, \(report.lost.count) lost", "the damaged files are in \(damaged)"]
        for loss in report.lost.prefix(Self.mostLines) { lines.append("lost: \(loss.id.map(TextTable.cell) ?? "document \(loss.number), whose id cannot be read") (\(loss.cause.rawValue))") }
        if report.lost.count > Self.mostLines { lines.append("and \(report.lost.count - Self.mostLines) more; --json names all") }
        if report.lost.contains(where: \.hasText) { lines.append("texts of lost documents were whole: index them again (--embed does so before anything is lost)") }
        return lines.joined(separator: "\n") + "\n"
    }

    private static let mostLines = 50

    private func output(_ report: RepairReport) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("collection", collection.text)
        writer.member("damaged", report.damagedFiles != nil)
        writer.member("kept", report.kept)
        writer.key("embedded")
        writer.beginArray()
        for id in report.embedded { writer.string(id) }
        writer.endArray()
        writer.key("lost")
        writer.beginArray()
        for loss in report.lost {
            writer.beginObject()
            writer.key("id")
            if let id = loss.id { writer.string(id) } else { writer.null() }
            writer.member("number", loss.number)
            writer.member("damaged", loss.cause.rawValue)
            writer.member("has_text", loss.hasText)
            writer.endObject()
        }
        writer.endArray()
        writer.optional("damaged_files", report.damagedFiles)
        writer.endObject()
        return writer.bytes
    }
}
