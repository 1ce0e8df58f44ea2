import Apus
import ApusCheckpoint
import ApusErrors
import ApusJSON
import ArgumentParser

struct ModelsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "models", abstract: "List the installed models.")

    @Flag(help: "Print JSON.")
    var json = false

    @Option(help: "The folder with the engine and the models, in place of APUS_HOME.")
    var home: String?

    func run() async throws {
        let entries = Installation(home: home).installedModels().map { InstalledModel(name: $0.name, path: $0.path) }
        if json {
            var writer = JSONWriter()
            writer.beginObject()
            writer.member("object", "list")
            writer.key("data")
            writer.beginArray()
            for entry in entries { entry.write(to: &writer) }
            writer.endArray()
            writer.endObject()
            try Terminal.standardOutput(String(decoding: writer.bytes, as: UTF8.self) + "\n")
        } else if entries.isEmpty {
            try Terminal.standardOutput("No models are installed. Run `make setup` for the default model.\n")
        } else {
            try Terminal.standardOutput(
                TextTable(["MODEL", "FAMILY", "TASK", "DIMENSIONS", "MAX TOKENS", "STATE"], entries.map(\.columns)).text)
        }
    }
}

/// A model directory under `models/`, and what its files say.
private struct InstalledModel {
    let name: String
    let path: String
    let checkpoint: Result<Checkpoint, ApusError>

    init(name: String, path: String) {
        self.name = name
        self.path = path
        checkpoint = Result { () throws(ApusError) in try Checkpoint(directory: path) }
    }

    private var family: String? {
        switch checkpoint {
        case .success(let checkpoint):
            switch checkpoint.source {
            case .encoder(let configuration, _): configuration.family.rawValue
            case .onnx: "onnx"
            }
        case .failure: nil
        }
    }

    var columns: [String] {
        switch checkpoint {
        case .success(let checkpoint):
            [name, family ?? "", checkpoint.task.rawValue, checkpoint.dimensions.map(String.init) ?? "?", String(checkpoint.maxTokens), "ok"]
        case .failure(let error):
            [name, "", "", "", "", error.description]
        }
    }

    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("id", name)
        writer.member("object", "model")
        writer.member("path", path)
        writer.member("default", name == Installation.defaultModel)
        switch checkpoint {
        case .success(let checkpoint):
            writer.member("family", family ?? "")
            writer.member("task", checkpoint.task.rawValue)
            writer.key("dimensions")
            if let dimensions = checkpoint.dimensions { writer.integer(dimensions) } else { writer.null() }
            writer.member("max_tokens", checkpoint.maxTokens)
            writer.key("error")
            writer.null()
        case .failure(let error):
            writer.member("error", error.description)
        }
        writer.endObject()
    }
}
