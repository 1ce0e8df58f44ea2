import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusGraph
import ApusRuntime
import ApusTensor
import Foundation

/// Runs one batch through a model, whole or in segments, and prints what it took as one JSON object. One process for one way of running, so that
/// none profits from what another left behind.
///
///     SegmentBenchmark --model DIR --engine LIBRARY [--style fused] [--precision fp32] [--texts 64] [--length 256] [--lanes 1]
///         [--segments K] [--residency resident] [--chunk 512] [--passes 1] [--output VECTORS]
@main
struct SegmentBenchmark {
    static func main() async {
        do {
            try await measure(try Options(Array(CommandLine.arguments.dropFirst())))
        } catch {
            FileHandle.standardError.write(Data("SegmentBenchmark: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func measure(_ options: Options) async throws {
        InProcessExecutor.ownProcess()
        let checkpoint = try Checkpoint(directory: options.model)
        guard case .encoder(let configuration, _) = checkpoint.source else {
            throw ApusError(.unsupportedModel, "the network of an ONNX file is not cut", place: options.model)
        }
        let executor = try InProcessExecutor(
            ExecutorSettings(device: DeviceID(.cpu, 0), lanes: options.lanes, engineLibrary: options.engine), graphs: CheckpointGraphs())
        let before = MemoryUse.current.anonymous
        let watch = MemoryWatch()
        let part = try options.part()
        let model = try await executor.load(
            LoadRequest(name: checkpoint.name, source: .checkpoint(directory: options.model, part)))
        try await executor.clearCache()
        let loadPeak = watch.restart()
        let loaded = MemoryUse.current.anonymous
        let batch = EncoderBatch((0..<options.texts).map { text in
            EncoderBatch.Sequence(
                ids: (0..<options.length).map { Int32((text * 7_919 + $0 * 104_729) % (configuration.vocabularySize - 1_000) + 999) },
                typeIDs: [Int32](repeating: 0, count: options.length))
        })
        var vectors: [Float] = []
        var best = Double.infinity
        for _ in 0..<options.passes {
            let started = ContinuousClock.now
            let inputs = batch.tensors(for: model.inputs, EncoderGraph.conventions(configuration))
            vectors = try model.run(inputs, output: 0, memory: .kept).float32 ?? []
            best = min(best, started.duration(to: .now) / .seconds(1))
        }
        let peak = watch.restart()
        if let output = options.output { try vectors.withUnsafeBytes { Data($0) }.write(to: URL(fileURLWithPath: output)) }
        let mebibytes = { (bytes: Int) in (Double(bytes) / 1_048_576 * 10).rounded() / 10 }
        print(
            "{\"before_mib\":\(mebibytes(before)),\"load_peak_mib\":\(mebibytes(loadPeak - before)),\"loaded_mib\":\(mebibytes(loaded - before)),"
                + "\"peak_mib\":\(mebibytes(peak - before)),\"peak_resident_mib\":\(mebibytes(MemoryUse.current.peakResident)),\"seconds\":\(best)}")
    }

    private struct Options {
        var model = ""
        var engine = ""
        var style = GraphStyle.fused
        var precision = Precision.fp32
        var texts = 64
        var length = 256
        var lanes = 1
        var passes = 1
        var segments: Int?
        var residency = Segmentation.Residency.resident
        var chunk = 512
        var output: String?

        init(_ arguments: [String]) throws {
            var rest = arguments[...]
            while let name = rest.popFirst() {
                guard let value = rest.popFirst() else { throw ApusError(.invalidValue, "\(name) needs a value") }
                switch name {
                case "--model": model = value
                case "--engine": engine = value
                case "--style": style = try Self.choice(name, value)
                case "--precision": precision = try Self.choice(name, value)
                case "--residency": residency = try Self.choice(name, value)
                case "--texts": texts = try Self.count(name, value)
                case "--length": length = try Self.count(name, value)
                case "--lanes": lanes = try Self.count(name, value)
                case "--passes": passes = try Self.count(name, value)
                case "--segments": segments = try Self.count(name, value)
                case "--chunk": chunk = try Self.count(name, value)
                case "--output": output = value
                default: throw ApusError(.invalidValue, "\(name) is not an option")
                }
            }
        }

        func part() throws -> CheckpointPart {
            let form = try NetworkForm(style, precision)
            guard let segments else { return .network(form) }
            return .segmented(form, try Segmentation(count: segments, residency: residency, chunkTokens: chunk))
        }

        private static func choice<Value: RawRepresentable<String>>(_ name: String, _ value: String) throws -> Value {
            guard let choice = Value(rawValue: value) else { throw ApusError(.invalidValue, "\(name) does not know \(value)") }
            return choice
        }

        private static func count(_ name: String, _ value: String) throws -> Int {
            guard let count = Int(value), count > 0 else { throw ApusError(.invalidValue, "\(name) wants a positive number") }
            return count
        }
    }
}
