import ApusErrors
import ApusExecution
import ApusGraph
import ApusParallel
import ApusTensor
import Foundation

/// Measures groups of logical CPU devices in process. Prints one JSON object a line; `Benchmarks/parallel.py` runs it.
///
///     ParallelBenchmark equality --model DIR --file TEXTS --engine LIBRARY --layout STAGESxRANKS …
///     ParallelBenchmark data     --model DIR --file TEXTS --engine LIBRARY [--rounds N]
///     ParallelBenchmark pipeline --model DIR --file TEXTS --engine LIBRARY [--rounds N] [--lanes N] [--ends LAYER,LAYER] [--style kernels|fused]
///     ParallelBenchmark tensor   --model DIR --file TEXTS --engine LIBRARY [--rounds N]
@main
struct ParallelBenchmark {
    static func main() async {
        do {
            let options = try Options(Array(CommandLine.arguments.dropFirst()))
            let text = try String(contentsOfFile: options.file, encoding: .utf8)
            var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            if lines.last == "" { lines.removeLast() }
            let workload = try Workload(model: options.model, texts: lines)
            switch options.mode {
            case .equality: try await equality(options, workload)
            case .data: try await data(options, workload)
            case .pipeline: try await pipeline(options, workload)
            case .tensor: try await tensor(options, workload)
            }
        } catch {
            FileHandle.standardError.write(Data("ParallelBenchmark: \(error)\n".utf8))
            exit(1)
        }
    }

    private static let cores = max(1, ProcessInfo.processInfo.activeProcessorCount)

    /// Cosine of every text's vector to that of the network whole, for each layout.
    private static func equality(_ options: Options, _ workload: Workload) async throws {
        let batches = workload.batches(tokens: 512)
        let whole = try await Runner.whole(workload, .fusedFP32, cores: [], engine: options.engine)
        let expected = try await vectors(whole, workload, batches)
        for layout in options.layouts {
            let runner = try await Runner.split(
                workload, .fusedFP32, stages: layout.stages, ranks: layout.ranks, cores: cores, engine: options.engine)
            let rows = try await vectors(runner, workload, batches)
            let again = try await vectors(runner, workload, batches)
            let cosines = zip(rows, expected).map(cosine)
            let lowest = cosines.min() ?? 0
            let same = zip(rows, again).allSatisfy { $0.map(\.bitPattern) == $1.map(\.bitPattern) }
            print(
                "{\"layout\":\"\(layout.stages)x\(layout.ranks)\",\"layers\":\(workload.layers),\"texts\":\(cosines.count),\"lowest_cosine\":\(lowest),\"repeats_to_the_bit\":\(same)}"
            )
            await runner.executor.shutdown()
        }
    }

    private static func vectors(
        _ runner: Runner, _ workload: Workload, _ batches: [(places: [Int], batch: EncoderBatch)]
    ) async throws -> [[Float]] {
        let inputs = batches.map { $0.batch.tensors(for: runner.model.inputs, workload.conventions) }
        let outputs = try await runner.run(inputs).outputs
        var rows = [[Float]](repeating: [], count: workload.sequences.count)
        for (batch, output) in zip(batches, outputs) {
            guard let values = output.float32, values.count % batch.places.count == 0 else {
                throw ApusError(.engineFailure, "\(output.count) numbers for \(batch.places.count) texts")
            }
            let width = values.count / batch.places.count
            for (row, place) in batch.places.enumerated() { rows[place] = Array(values[(row * width)..<((row + 1) * width)]) }
        }
        return rows
    }

    private static func cosine(_ first: [Float], _ second: [Float]) -> Double {
        guard first.count == second.count, !first.isEmpty else { return -1 }
        var (dot, aa, bb) = (0.0, 0.0, 0.0)
        for (a, b) in zip(first, second) {
            dot += Double(a) * Double(b)
            aa += Double(a) * Double(a)
            bb += Double(b) * Double(b)
        }
        let cosine = dot / (aa * bb).squareRoot()
        return cosine.isNaN ? -1 : cosine
    }

    /// One scheduler over one device of one core, and over two.
    private static func data(_ options: Options, _ workload: Workload) async throws {
        var devices: [Runner] = []
        for device in 0..<2 {
            devices.append(try await Runner.whole(workload, options.form, device: device, cores: [device % cores], engine: options.engine))
        }
        for _ in 0..<options.rounds {
            let one = try await ScheduledRun.seconds(workload, on: [devices[0]])
            let other = try await ScheduledRun.seconds(workload, on: [devices[1]])
            let both = try await ScheduledRun.seconds(workload, on: devices)
            print(
                "{\"texts\":\(workload.sequences.count),\"one_seconds\":\(one),\"other_seconds\":\(other),\"both_seconds\":\(both),\"speedup\":\((one + other) / 2 / both)}"
            )
        }
    }

    /// Seconds of processors that this process has had. Where a round takes longer and no more of them, others had the cores.
    private static var cpuSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// Bursts of 8 micro-batches, and of 64, through two stages of one core each, against one device of one core.
    private static func pipeline(_ options: Options, _ workload: Workload) async throws {
        let whole = try await Runner.whole(workload, options.form, cores: [0], engine: options.engine)
        let split = try await Runner.split(
            workload, options.form, stages: 2, ranks: 1, ends: options.ends, lanes: options.lanes, cores: cores, engine: options.engine)
        let batches = workload.batches(tokens: options.tokens).map { $0.batch.tensors(for: whole.model.inputs, workload.conventions) }
        for count in [8, 64] {
            // Batches of the middle, which are full and of like cost.
            let first = max(0, batches.count / 2 - count / 2)
            let burst = (0..<count).map { batches[(first + $0) % batches.count] }
            _ = try await (whole.run(burst), split.run(burst))
            for _ in 0..<options.rounds {
                let start = cpuSeconds
                let alone = try await whole.run(burst)
                let between = cpuSeconds
                let before = try await split.executor.groupState()
                let together = try await split.run(burst)
                let end = cpuSeconds
                guard let before, let state = try await split.executor.groupState()?.since(before) else {
                    throw ApusError(.engineFailure, "the group has no state")
                }
                let busy = state.stageBusyNanoseconds.map { String(Double($0) * 1e-9) }.joined(separator: ",")
                print(
                    "{\"micro_batches\":\(count),\"lanes\":\(split.executor.laneCount),\"whole_seconds\":\(alone.seconds),\"pipeline_seconds\":\(together.seconds),\"whole_cpu_seconds\":\(between - start),\"pipeline_cpu_seconds\":\(end - between),\"speedup\":\(alone.seconds / together.seconds),\"stage_seconds\":[\(busy)],\"bubbles\":\(state.bubbleShare)}"
                )
            }
        }
    }

    /// Two ranks of one core each against one device of one core, step by step.
    private static func tensor(_ options: Options, _ workload: Workload) async throws {
        let whole = try await Runner.whole(workload, .fusedFP32, cores: [0], engine: options.engine)
        let split = try await Runner.split(workload, .fusedFP32, stages: 1, ranks: 2, cores: cores, engine: options.engine)
        let batches = Array(
            workload.batches(tokens: options.tokens).map { $0.batch.tensors(for: whole.model.inputs, workload.conventions) }.suffix(16))
        _ = try await (whole.run(batches), split.run(batches))
        for _ in 0..<options.rounds {
            let alone = try await whole.run(batches)
            let before = try await split.executor.groupState()
            let together = try await split.run(batches)
            guard let before, let state = try await split.executor.groupState()?.since(before) else {
                throw ApusError(.engineFailure, "the group has no state")
            }
            let waited = state.stages[0].map { Double($0.waitedNanoseconds) / Double(max(1, $0.busyNanoseconds)) }.max() ?? 0
            print(
                "{\"steps\":\(batches.count),\"whole_seconds\":\(alone.seconds),\"ranks_seconds\":\(together.seconds),\"speedup\":\(alone.seconds / together.seconds),\"share_waiting\":\(waited)}"
            )
        }
    }
}
