import Apus
import ApusBatching
import ApusCheckpoint
import ApusEmbeddings
import ApusErrors
import ApusExecution
import ApusFleet
import ApusGraph
import ApusRuntime
import ApusTensor
import ApusTokenizers
import Foundation

/// Measures Apus in process, without a server. Prints one JSON object a line.
///
///     EmbedBenchmark --model DIR --file TEXTS [--passes N] [--lanes N] [--worker APUS] [--token-budget N] [--max-batch N] [--precision P]
///     EmbedBenchmark --model DIR --latency TEXT
///     EmbedBenchmark --model DIR --hits COUNT --file TEXTS
@main
struct EmbedBenchmark {
    static func main() async {
        do {
            let options = try Options(Array(CommandLine.arguments.dropFirst()))
            if let count = options.hits {
                try await hits(options, count)
            } else if let text = options.latencyText {
                try await latency(options, text)
            } else {
                try await throughput(options)
            }
        } catch {
            FileHandle.standardError.write(Data("EmbedBenchmark: \(error)\n".utf8))
            exit(1)
        }
    }

    /// Off the main thread, as a server's requests are: its queue would add a change of threads to every text.
    @concurrent
    private static func throughput(_ options: Options) async throws {
        let text = try String(contentsOfFile: options.file ?? "", encoding: .utf8)
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last == "" { lines.removeLast() }
        let installation = Installation()
        let room = try EngineRoom(
            installation: installation, plan: .wholeCPU(engineLibrary: installation.engineLibrary(), lanes: options.lanes),
            execution: options.worker.map { .workers(executable: $0) } ?? .inProcess)
        let policy = try BatchPolicy(
            tokenBudget: options.tokenBudget, maxBatchSize: options.maxBatch ?? BatchPolicy.defaultMaxBatchSize,
            maxQueue: .seconds(3600))
        let model = try await room.load(
            directory: options.model, precision: PrecisionRequest(options.precision), policy: policy)
        _ = try await model.embedder.embed(lines.prefix(64).map { .text($0) })
        for _ in 0..<options.passes {
            let started = ContinuousClock.now
            for start in stride(from: 0, to: lines.count, by: 2048) {
                _ = try await model.embedder.embed(lines[start..<min(start + 2048, lines.count)].map { .text($0) })
            }
            let seconds = started.duration(to: .now) / .seconds(1)
            print("{\"texts\":\(lines.count),\"seconds\":\(seconds),\"texts_per_second\":\(Double(lines.count) / seconds)}")
        }
    }

    /// Texts that were embedded before, one request each, as a program asks the library. Every text is asked once before time is taken, and a vector
    /// that was computed and not remembered ends the measurement.
    private static func hits(_ options: Options, _ count: Int) async throws {
        let embedder = try await Embedder.load(options.model, precision: options.precision)
        let lines = try String(contentsOfFile: options.file ?? "", encoding: .utf8).split(separator: "\n").prefix(count).map(String.init)
        _ = try await embedder.embed(lines)
        var microseconds: [Double] = []
        for _ in 0..<options.passes {
            for line in lines {
                let started = ContinuousClock.now
                let embeddings = try await embedder.embedWithDetails([line])
                microseconds.append(started.duration(to: .now) / .microseconds(1))
                guard embeddings.first?.isCached == true else { throw ApusError(.wrongAnswer, "a text was computed that was embedded before", place: line) }
            }
        }
        guard !microseconds.isEmpty else { throw ApusError(.invalidValue, "the file holds no texts") }
        let sorted = microseconds.sorted()
        let bytes = Double(lines.reduce(0) { $0 + $1.utf8.count }) / Double(lines.count)
        print(
            "{\"hits\":\(sorted.count),\"texts\":\(lines.count),\"mean_bytes\":\(bytes),\"hit_p50_us\":\(sorted[sorted.count / 2]),\"hit_p99_us\":\(sorted[sorted.count * 99 / 100])}")
    }

    /// The bare forward pass: prepared token ids through the engine, on this thread.
    private static func latency(_ options: Options, _ text: String) async throws {
        let checkpoint = try Checkpoint(directory: options.model)
        let tokenizer = try Tokenizer(contentsOf: checkpoint.tokenizerPath)
        let executor = try InProcessExecutor(
            ExecutorSettings(device: DeviceID(.cpu, 0), lanes: 1, engineLibrary: try Installation().engineLibrary()),
            graphs: CheckpointGraphs())
        let encoder = try await SentenceEncoder.load(checkpoint, onto: executor)
        let encoding = tokenizer.encode(text)
        let batch = EncoderBatch([EncoderBatch.Sequence(ids: encoding.ids, typeIDs: encoding.typeIDs)])
        var milliseconds: [Double] = []
        for _ in 0..<options.repetitions {
            let started = ContinuousClock.now
            _ = try encoder.run(batch)
            milliseconds.append(started.duration(to: .now) / .milliseconds(1))
        }
        let sorted = milliseconds.dropFirst(options.repetitions / 10).sorted()
        print("{\"tokens\":\(encoding.count),\"forward_p50_ms\":\(sorted[sorted.count / 2])}")
    }

    private struct Options {
        var model = Installation.defaultModel
        var file: String?
        var latencyText: String?
        /// Texts to remember and ask again.
        var hits: Int?
        var passes = 1
        var repetitions = 1000
        var lanes: Int?
        var precision = Precision.fp32
        /// The executable of worker processes; nil runs in this process.
        var worker: String?
        var tokenBudget: Int?
        var maxBatch: Int?

        init(_ arguments: [String]) throws {
            var rest = arguments[...]
            while let name = rest.popFirst() {
                guard let value = rest.popFirst() else { throw ApusError(.invalidValue, "\(name) needs a value") }
                switch name {
                case "--model": model = try Installation().modelDirectory(value)
                case "--file": file = value
                case "--worker": worker = value
                case "--latency": latencyText = value
                case "--hits": hits = try Self.count(name, value)
                case "--precision": precision = try Self.precision(value)
                case "--passes": passes = try Self.count(name, value)
                case "--repetitions": repetitions = try Self.count(name, value)
                case "--lanes": lanes = try Self.count(name, value)
                case "--token-budget": tokenBudget = try Self.count(name, value)
                case "--max-batch": maxBatch = try Self.count(name, value)
                default: throw ApusError(.invalidValue, "\(name) is not an option")
                }
            }
            guard hits == nil || file != nil else { throw ApusError(.invalidValue, "--hits needs --file") }
            guard file != nil || latencyText != nil else { throw ApusError(.invalidValue, "--file or --latency is needed") }
        }

        private static func precision(_ value: String) throws -> Precision {
            guard let precision = Precision(rawValue: value) else { throw ApusError(.invalidValue, "\(value) is not a precision") }
            return precision
        }

        private static func count(_ name: String, _ value: String) throws -> Int {
            guard let count = Int(value), count > 0 else { throw ApusError(.invalidValue, "\(name) wants a positive number") }
            return count
        }
    }
}
