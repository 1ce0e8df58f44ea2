import Apus
import ApusConfiguration
import ApusErrors
import ApusJSON
public import ApusTensor
public import ArgumentParser
import Foundation
import Logging

struct EmbedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "embed",
        abstract: "Turn texts into vectors.",
        discussion: """
            Texts are the arguments, the lines of a file, or the lines of standard input. Each gives one JSON line \
            {"index":0,"tokens":4,"truncated":false,"embedding":[…]}, or one row of a NumPy file with --output.
            """)

    @Argument(help: "Texts to embed.")
    var texts: [String] = []

    @Option(help: "A file with one text a line, UTF-8. - is standard input.")
    var file: String?

    @Option(help: "Write a NumPy array (float32, one row a text) here, in place of JSON lines.")
    var output: String?

    @OptionGroup var model: ModelOptions

    @Option(help: "CPU devices that share the model: cpu:2 (two logical devices), … (default: one device of all cores)")
    var devices: String?

    @OptionGroup var parallel: ParallelOptions

    @Option(help: "Remember vectors in this file (SQLite), and take those from it that it has. (default: remembered only while the command runs)")
    var cache: String?

    @Flag(help: "Compute every text, also those that came before.")
    var noCache = false

    func validate() throws {
        guard cache == nil || !noCache else { throw ValidationError("Give --cache or --no-cache, not both.") }
        guard devices != nil || parallel.options.isEmpty else {
            throw ValidationError("\(parallel.options[0].spelling) needs devices to share the model: give --devices, such as cpu:2.")
        }
        guard devices == nil || (model.segmentCount ?? 1) == 1 else { throw ValidationError("Give --devices or segments, not both.") }
        guard texts.isEmpty || file == nil else { throw ValidationError("Give texts or --file, not both.") }
        guard !texts.isEmpty || file != nil || !Terminal.inputIsKeyboard else {
            throw ValidationError("Give texts, --file, or lines on standard input.")
        }
    }

    func run() async throws {
        // Standard error is for the one line that says why the command failed.
        LoggingSystem.bootstrap { _ in SwiftLogNoOpLogHandler() }
        if let output { try NumpyArray.checkWritable(output) }
        let texts = try self.texts.isEmpty ? TextLines.read(file ?? "-") : self.texts
        let embedder = try await embedder()
        let progress = ProgressLine(
            total: texts.count, unit: "texts", visible: Terminal.isWatched && (output != nil || isatty(STDOUT_FILENO) == 0))
        defer { progress.finish() }
        var array = output == nil ? nil : NumpyArray(columns: embedder.dimensions)
        for start in stride(from: 0, to: texts.count, by: Self.window) {
            let end = min(start + Self.window, texts.count)
            let embeddings = try await embedder.embedWithDetails(Array(texts[start..<end]))
            if array != nil {
                for embedding in embeddings { array?.append(embedding.vector) }
            } else {
                try Terminal.standardOutput(Self.lines(embeddings, firstIndex: start))
            }
            progress.update(done: end)
        }
        await embedder.closeCache()
        if let output, let array { try array.write(to: output) }
    }

    private var caching: Caching {
        if noCache { return .off }
        return cache.map { Caching.memory().kept(in: $0) } ?? .memory()
    }

    private func embedder() async throws -> Embedder {
        let name = model.model ?? Installation.defaultModel
        guard let parallelism = parallel.parallelism(on: devices) else {
            return try await Embedder.load(
                name, precision: model.precision, precisionFloor: model.precisionFloor, segments: model.segmentCount, offload: model.offload,
                caching: caching, installation: model.installation)
        }
        return try await Embedder.load(
            name, sharing: parallelism, precision: model.precision, precisionFloor: model.precisionFloor, caching: caching,
            installation: model.installation)
    }

    /// Texts between two reports of progress.
    private static let window = 1024

    private static func lines(_ embeddings: [Embedding], firstIndex: Int) -> [UInt8] {
        var lines: [UInt8] = []
        for (offset, embedding) in embeddings.enumerated() {
            var writer = JSONWriter(capacity: embedding.vector.count * 12)
            writer.beginObject()
            writer.member("index", firstIndex + offset)
            writer.member("tokens", embedding.tokens)
            writer.member("truncated", embedding.truncated)
            writer.key("embedding")
            writer.numbers(embedding.vector)
            writer.endObject()
            lines += writer.bytes
            lines.append(UInt8(ascii: "\n"))
        }
        return lines
    }
}

/// The flags that choose a model, shared by every command that loads one.
struct ModelOptions: ParsableArguments {
    @Option(help: "The path of a model directory, or the name of an installed model. (default: \(Installation.defaultModel))")
    var model: String?

    @Option(help: "The arithmetic: fp32, bf16, fp16, int8, int4 or auto.")
    var precision: Precision = .auto

    @Option(help: "The lowest cosine to fp32 to compute with, 0 to 1. (default: 0.9999; int8 0.99, int4 0.95 where asked for)")
    var precisionFloor: Double?

    @Option(help: "Parts of the network that a device runs one after the other: a number, or auto. (default: auto, whole where it fits)")
    var segments: String?

    @Option(help: "Weights for which a device has no memory: never (refuse), auto (read them segment by segment), always.")
    var offload: Offload = .auto

    @Option(help: "The folder with the engine and the models, in place of APUS_HOME.")
    var home: String?

    var installation: Installation { Installation(home: home) }

    var request: PrecisionRequest { PrecisionRequest(precision, floor: precisionFloor) }

    /// nil for `auto`.
    var segmentCount: Int? { segments.flatMap(Int.init) }

    var cut: SegmentRequest { get throws(ApusError) { try SegmentRequest(segments: segmentCount, offload: offload) } }

    func validate() throws {
        if let segments, segments != "auto", (segmentCount ?? 0) < 1 {
            throw ValidationError("--segments must be a number from 1 on, or auto, not '\(segments)'.")
        }
        if let precisionFloor, !(0...1).contains(precisionFloor) { throw ValidationError("--precision-floor must be from 0 to 1.") }
    }
}

extension Precision: ExpressibleByArgument {}
extension Offload: ExpressibleByArgument {}
