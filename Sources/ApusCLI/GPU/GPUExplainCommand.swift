import Apus
import ApusConfiguration
import ApusErrors
import ApusJSON
import ApusTensor
import ArgumentParser
import Foundation

struct GPUExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Tell which devices `apus serve` would use, in which precision, and why each was taken or not.")

    @Option(help: "Devices, as `apus serve` takes them. (default: auto)")
    var devices: String?

    @Option(help: "A model to serve: the path of its directory, or the name of an installed model. May be given several times.")
    var model: [String] = []

    @Option(help: "A configuration file, YAML or TOML.")
    var config: String?

    @Option(help: "The arithmetic: fp32, bf16, fp16, int8, int4 or auto. (default: auto)")
    var precision: Precision?

    @Option(help: "Parts of a network that a device runs one after the other: a number, or auto. (default: auto)")
    var segments: String?

    @Option(help: "Weights for which a device has no memory: never, auto or always. (default: auto)")
    var offload: Offload?

    @Flag(help: "Print JSON.")
    var json = false

    @Option(help: "The folder with the engine and the models, in place of APUS_HOME.")
    var home: String?

    func run() async throws {
        var options: [ConfigurationOption] = []
        if !model.isEmpty { options.append(ConfigurationOption("--model", sets: "models", to: model)) }
        if let devices { options.append(ConfigurationOption("--devices", sets: "devices.list", to: [devices])) }
        if let precision { options.append(ConfigurationOption("--precision", sets: "precision", to: [precision.rawValue])) }
        if let segments { options.append(ConfigurationOption("--segments", sets: "segments", to: [segments])) }
        if let offload { options.append(ConfigurationOption("--offload", sets: "offload", to: [offload.rawValue])) }
        let installation = Installation(home: home)
        let setup = try await ServeSetup.make(
            file: config, environment: ProcessInfo.processInfo.environment, options: options, installation: installation, chaos: nil)
        let precisions = try await PrecisionTable.measure(setup, installation)
        try Terminal.standardOutput(json ? Self.json(setup.planned, precisions) : Self.text(setup.planned, precisions))
    }

    static func text(_ planned: PlannedFleet, _ precisions: PrecisionTable) -> String {
        var text = ""
        for decision in planned.decisions {
            let device = "\(decision.device)".padding(toLength: max(8, "\(decision.device)".count + 1), withPad: " ", startingAt: 0)
            text += Paragraph("\(decision.outcome.words): \(decision.reason)", first: device).text
        }
        for (model, device) in planned.assignments.sorted(by: { $0.key < $1.key }) {
            text += Paragraph("runs on \(device) only", first: "\(model) ").text
        }
        if !precisions.rows.isEmpty { text += "\n" + precisions.text }
        let notes = planned.notes.map { Paragraph($0.text, first: $0.level == .warning ? "warning: " : "note: ").text }
        return notes.isEmpty ? text : text + "\n" + notes.joined()
    }

    static func json(_ planned: PlannedFleet, _ precisions: PrecisionTable) -> String {
        var writer = JSONWriter(capacity: 1024)
        writer.beginObject()
        writer.key("decisions")
        writer.beginArray()
        for decision in planned.decisions {
            writer.beginObject()
            writer.member("device", decision.device.description)
            writer.member("outcome", decision.outcome.rawValue)
            writer.member("reason", decision.reason)
            writer.endObject()
        }
        writer.endArray()
        writer.key("assignments")
        writer.beginObject()
        for (model, device) in planned.assignments.sorted(by: { $0.key < $1.key }) { writer.member(model, device.description) }
        writer.endObject()
        precisions.write(to: &writer)
        writer.key("notes")
        writer.beginArray()
        for note in planned.notes {
            writer.beginObject()
            writer.member("level", note.level == .warning ? "warning" : "info")
            writer.member("text", note.text)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self) + "\n"
    }
}

extension PlannedFleet.Decision.Outcome {
    fileprivate var words: String {
        switch self {
        case .chosen: "chosen"
        case .standIn: "stands in"
        case .passedOver: "not chosen"
        }
    }
}
