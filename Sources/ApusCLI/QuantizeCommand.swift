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
            fp32 over built-in texts is measured: below the floor nothing is left behind. In int4, --calibration rounds every layer for the \
            inputs that it has when the model reads texts like those it will see, which takes minutes and halves what 4 bits lose or better.
            """)

    @Argument(help: "The path of a model directory, or the name of an installed model.")
    var model: String

    @Option(help: "int8 or int4.")
    var precision: Precision

    @Option(help: "The directory to write, which must not exist or be empty.")
    var into: String

    @Option(help: "For int4: a file with one text a line, UTF-8, of some thousand words in all. - is standard input.")
    var calibration: String?

    @Option(help: "The lowest cosine to fp32, 0 to 1. (default: int8 0.99, int4 0.95)")
    var precisionFloor: Double?

    @Flag(help: "Print JSON.")
    var json = false

    @Option(help: "The folder with the engine and the models, in place of APUS_HOME.")
    var home: String?

    func validate() throws {
        guard [.int8, .int4].contains(precision) else { throw ValidationError("--precision must be int8 or int4.") }
        if calibration != nil, precision != .int4 { throw ValidationError("--calibration goes with --precision int4.") }
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
        let request = PrecisionRequest(precision, floor: precisionFloor)
        let cosine: Double?
        if let calibration {
            cosine = try await calibrate(subject, with: try TextLines.read(calibration), trials, cpu, floor: request.floor(of: precision))
        } else {
            cosine = try await trials.choice(for: subject, on: cpu, request).figures?.cosine
            try write(subject, [:])
        }
        if let cosine { try QuantizationRecord.write(cosine: cosine, sourceSHA256: subject.weights, into: into) }
        try report(from: Installation.weightBytes(directory), to: Installation.weightBytes(into), cosine)
    }

    /// Writes a copy that is rounded for `texts`, and removes it again when it does not reach the floor.
    private func calibrate(
        _ subject: PrecisionSubject, with texts: [String], _ trials: PrecisionTrials, _ cpu: FleetPlan.Member, floor: Double
    ) async throws -> Double {
        let progress = ProgressLine(total: 100, unit: "percent")
        let layers = try subject.calibratedBlocks(texts) { done, total in progress.update(done: total > 0 ? 100 * done / total : 100) }
        progress.finish()
        try write(subject, layers)
        let cosine = try await trials.cosine(of: try Checkpoint(directory: into), to: subject, .fusedInt4, on: cpu)
        guard cosine >= floor else {
            try? FileManager.default.removeItem(atPath: into)
            throw ApusError(
                .unsupportedPrecision, "the copy has a cosine to fp32 of \(CosineText.of(cosine)), \(floor) is wanted", place: into,
                advice: "Give more texts to calibrate with, or a lower --precision-floor")
        }
        return cosine
    }

    private func write(_ subject: PrecisionSubject, _ calibrated: [String: CalibratedLinear]) throws {
        let progress = ProgressLine(total: 100, unit: "percent")
        try subject.checkpoint.quantized(to: precision, into: into, calibrated: calibrated) { done, total in
            progress.update(done: total > 0 ? Int(100 * Double(done) / Double(total)) : 100)
        }
        progress.finish()
    }

    private func report(from before: Int, to after: Int, _ cosine: Double?) throws {
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
