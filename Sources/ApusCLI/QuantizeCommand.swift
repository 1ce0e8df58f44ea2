import Apus
import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusFleet
import ApusJSON
import ApusTensor
import ArgumentParser
import Foundation

struct QuantizeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quantize", abstract: "Write a copy of a model with weights of 8 or 4 bits.",
        discussion: """
            The copy serves as the model itself does when it is quantised at load (--precision), and takes less room on the disk. Its cosine to \
            fp32 over built-in texts is measured first: below the floor nothing is written.
            """)

    @Argument(help: "The path of a model directory, or the name of an installed model.")
    var model: String

    @Option(help: "int8 or int4.")
    var precision: Precision

    @Option(help: "The directory to write, which must not exist or be empty.")
    var into: String

    @Option(help: "The lowest cosine to fp32, 0 to 1. (default: int8 0.99, int4 0.95)")
    var precisionFloor: Double?

    @Flag(help: "Print JSON.")
    var json = false

    @Option(help: "The folder with the engine and the models, in place of APUS_HOME.")
    var home: String?

    func validate() throws {
        guard [.int8, .int4].contains(precision) else { throw ValidationError("--precision must be int8 or int4.") }
        if let precisionFloor, !(0...1).contains(precisionFloor) { throw ValidationError("--precision-floor must be from 0 to 1.") }
    }

    func run() async throws {
        let installation = Installation(home: home)
        let directory = try installation.modelDirectory(model)
        guard let subject = try PrecisionSubject(ofNetworkIn: directory) else {
            throw ApusError(.unsupportedModel, "the weights of ONNX files are not quantised", place: directory)
        }
        let library = try installation.engineLibrary()
        guard let cpu = try FleetPlan.wholeCPU(engineLibrary: library).members.first else {
            throw ApusError(.noDevice, "no CPU to measure on was found")
        }
        let trials = PrecisionTrials(
            installation: installation, engineLibrary: library, execution: .workers(executable: try MachineInventory.executable()))
        let choice = try await trials.choice(for: subject, on: cpu, PrecisionRequest(precision, floor: precisionFloor))
        let progress = ProgressLine(total: 100, unit: "percent")
        try subject.checkpoint.quantized(to: precision, into: into) { done, total in
            progress.update(done: total > 0 ? Int(100 * Double(done) / Double(total)) : 100)
        }
        progress.finish()
        if let cosine = choice.figures?.cosine { try QuantizationRecord.write(cosine: cosine, sourceSHA256: subject.weights, into: into) }
        try report(from: Installation.weightBytes(directory), to: Installation.weightBytes(into), choice)
    }

    private func report(from before: Int, to after: Int, _ choice: PrecisionChoice) throws {
        let cosine = choice.figures?.cosine
        guard json else {
            let share = before > 0 ? ", \(Int((100 * Double(after) / Double(before)).rounded())) %" : ""
            return try Terminal.standardOutput(
                "\(into): \(precision.rawValue), \(after >> 20) MiB of \(before >> 20) MiB\(share), cosine to fp32 \(cosine.map(CosineText.of) ?? Figures.unknown)\n")
        }
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("directory", into)
        writer.member("precision", precision.rawValue)
        writer.member("bytes_before", before)
        writer.member("bytes_after", after)
        writer.key("cosine_to_fp32")
        if let cosine { writer.number(cosine) } else { writer.null() }
        writer.endObject()
        try Terminal.standardOutput(String(decoding: writer.bytes, as: UTF8.self) + "\n")
    }
}
