import ApusErrors
import ApusJSON
import ApusStores
import ApusVectors
import ArgumentParser

struct CollectionsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "collections", abstract: "List, describe, drop, compact and repair collections.",
        subcommands: [List.self, Describe.self, Drop.self, Compact.self, RepairCommand.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the collections. Each is read and verified whole.")

        @Flag(help: "Print JSON.")
        var json = false

        @OptionGroup var data: DataOptions

        func run() async throws {
            let store = try data.collections(.readOnly)
            var collections: [(name: CollectionName, standing: Result<CollectionDescription, ApusError>)] = []
            for name in try await store.names() {
                do throws(ApusError) {
                    collections.append((name, .success(try await store.describe(name))))
                } catch {
                    collections.append((name, .failure(error)))
                }
            }
            if json {
                var writer = JSONWriter()
                writer.beginArray()
                for (name, standing) in collections {
                    switch standing {
                    case .success(let description): writer.collection(description)
                    case .failure(let error):
                        writer.beginObject()
                        writer.member("name", name.text)
                        writer.member("error", error.code.rawValue)
                        writer.member("message", "\(error)")
                        writer.endObject()
                    }
                }
                writer.endArray()
                try Terminal.standardOutput(writer.bytes + [UInt8(ascii: "\n")])
            } else {
                let rows = collections.map { name, standing in
                    switch standing {
                    case .success(let description): description.cells
                    case .failure(let error): [name.text, Figures.unknown, Figures.unknown, Figures.unknown, error.code.rawValue]
                    }
                }
                try Terminal.standardOutput(TextTable(["NAME", "DOCUMENTS", "DIMENSIONS", "SIZE", "MODEL"], rows).text)
                for case .failure(let error) in collections.map(\.standing) { Terminal.standardError("\(error)\n") }
            }
        }
    }

    struct Describe: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Tell what a collection is.")

        @Argument(help: "The collection.")
        var collection: CollectionName

        @Flag(help: "Print JSON.")
        var json = false

        @OptionGroup var data: DataOptions

        func run() async throws {
            let description = try await data.collections(.readOnly).describe(collection)
            if json {
                var writer = JSONWriter()
                writer.collection(description)
                try Terminal.standardOutput(writer.bytes + [UInt8(ascii: "\n")])
            } else {
                try Terminal.standardOutput(TextTable(["WHAT", "VALUE"], description.rows).text)
            }
        }
    }

    struct Drop: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Delete a collection with all that is in it.")

        @Argument(help: "The collection.")
        var collection: CollectionName

        @OptionGroup var data: DataOptions

        func run() async throws {
            let store = try data.collections(.readWrite)
            try await store.drop(collection)
            await store.close()
        }
    }

    struct Compact: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Free what deleted and replaced documents take.")

        @Argument(help: "The collection.")
        var collection: CollectionName

        @Flag(help: "Print JSON.")
        var json = false

        @OptionGroup var data: DataOptions

        func run() async throws {
            let store = try data.collections(.readWrite)
            let report = try await store.compact(collection)
            await store.close()
            if json {
                var writer = JSONWriter()
                writer.beginObject()
                writer.member("removed", report.removed)
                writer.member("bytes_before", report.bytesBefore)
                writer.member("bytes_after", report.bytesAfter)
                writer.endObject()
                try Terminal.standardOutput(writer.bytes + [UInt8(ascii: "\n")])
            } else {
                try Terminal.standardOutput(
                    "\(report.removed) documents removed, \(Figures.bytes(report.bytesBefore)) before, \(Figures.bytes(report.bytesAfter)) now\n")
            }
        }
    }
}

extension CollectionDescription {
    fileprivate var cells: [String] {
        [name.text, String(documents), String(settings.dimensions), Figures.bytes(bytes), settings.model ?? Figures.unknown]
    }

    fileprivate var rows: [[String]] {
        [
            ["name", name.text], ["documents", String(documents)], ["deleted, not compacted", String(deleted)],
            ["dimensions", String(settings.dimensions)], ["metric", settings.metric.rawValue], ["storage", settings.storage.rawValue],
            ["model", settings.model ?? Figures.unknown], ["weights", settings.weights ?? Figures.unknown], ["size", Figures.bytes(bytes)],
            ["kept in", backend.explanation],
        ]
    }
}

extension JSONWriter {
    fileprivate mutating func collection(_ description: CollectionDescription) {
        beginObject()
        member("name", description.name.text)
        member("documents", description.documents)
        member("deleted", description.deleted)
        member("dimensions", description.settings.dimensions)
        member("metric", description.settings.metric.rawValue)
        member("storage", description.settings.storage.rawValue)
        optional("model", description.settings.model)
        optional("weights_sha256", description.settings.weights)
        member("bytes", description.bytes)
        member("backend", description.backend.rawValue)
        member("created_at", description.createdAt)
        endObject()
    }
}
