import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusGraph
import ApusRuntime
import ApusTensor
import ApusWorkerHost
import ApusWorkers
import Foundation

/// What the process boundary costs: `WorkerBenchmark ENGINE-LIBRARY CHECKPOINT`.
///
/// Prints, in microseconds, the time from a worker's start to its hello, from its death by SIGKILL to its notice, and steps in this process
/// and across the boundary at several batch sizes.
@main
enum WorkerBenchmark {
    private static let spawns = 20

    static func main() async throws {
        let arguments = CommandLine.arguments
        if arguments.count == 2, arguments[1] == "worker" { await WorkerHost.run() }
        guard arguments.count == 3 else {
            print("usage: WorkerBenchmark ENGINE-LIBRARY CHECKPOINT")
            exit(2)
        }
        let settings = ExecutorSettings(device: DeviceID(.cpu, 0), lanes: 1, engineLibrary: arguments[1])
        let options = WorkerOptions(executable: Bundle.main.executablePath ?? arguments[0])
        try await measureSpawns(settings, options)
        try await measureSteps(settings, options, arguments[2])
    }

    private static func measureSpawns(_ settings: ExecutorSettings, _ options: WorkerOptions) async throws {
        var (hellos, notices): ([Double], [Double]) = ([], [])
        for _ in 0..<spawns {
            let (deaths, continuation) = AsyncStream.makeStream(of: Int64.self)
            var options = options
            options.onDeath = { _ in continuation.yield(AwakeClock.monotonic) }
            let start = AwakeClock.monotonic
            let worker = try await WorkerExecutor.spawn(settings, options: options)
            let killed = AwakeClock.monotonic
            hellos.append(Double(killed - start) / 1e3)
            kill(worker.pid, SIGKILL)
            for await noticed in deaths.prefix(1) { notices.append(Double(noticed - killed) / 1e3) }
            await worker.shutdown()
        }
        report("spawn to hello", hellos)
        report("death to notice", notices)
    }

    private static func measureSteps(_ settings: ExecutorSettings, _ options: WorkerOptions, _ directory: String) async throws {
        guard case .encoder(let configuration, _) = try Checkpoint(directory: directory).source else {
            print("\(directory) holds an ONNX file, whose inputs this does not make")
            exit(2)
        }
        let request = LoadRequest(name: "measured", source: .checkpoint(directory: directory, .network(.fusedFP32)))
        let local = try InProcessExecutor(settings, graphs: CheckpointGraphs())
        let worker = try await WorkerExecutor.spawn(settings, options: options)
        let (near, far) = (try await local.load(request), try await worker.load(request))
        for (rows, tokens, count) in [(1, 1, 2_000), (1, 16, 1_000), (64, 4, 100), (32, 32, 30)] {
            let batch = EncoderBatch((0..<rows).map { row in
                EncoderBatch.Sequence(ids: (0..<tokens).map { Int32(5 + ($0 + row) % 20) }, typeIDs: [Int32](repeating: 0, count: tokens))
            })
            let inputs = batch.tensors(for: near.inputs, EncoderGraph.conventions(configuration))
            // Turn by turn, so that both meet the same machine.
            var times: (near: [Double], far: [Double]) = ([], [])
            for _ in 0..<5 {
                times.near += try await measure(local, near, inputs, count)
                times.far += try await measure(worker, far, inputs, count)
            }
            report("\(rows) x \(tokens) tokens, in process", times.near)
            report("\(rows) x \(tokens) tokens, worker", times.far)
        }
        await worker.shutdown()
    }

    /// Microseconds of each of `count` steps, one after the other on a lane.
    private static func measure(
        _ executor: any Executor, _ model: any LoadedModel, _ inputs: [String: HostTensor], _ count: Int
    ) async throws(ApusError) -> [Double] {
        let result = await withCheckedContinuation { continuation in
            executor.submit {
                continuation.resume(returning: Result { () throws(ApusError) in
                    var times: [Double] = []
                    for _ in 0..<count {
                        let start = AwakeClock.monotonic
                        _ = try model.run(inputs, output: 0, memory: .kept)
                        times.append(Double(AwakeClock.monotonic - start) / 1e3)
                    }
                    return times
                })
            }
        }
        return try result.get()
    }

    private static func report(_ what: String, _ times: [Double]) {
        let sorted = times.sorted()
        func quantile(_ part: Double) -> String {
            guard !sorted.isEmpty else { return "-" }
            return String(Int(sorted[min(sorted.count - 1, Int(part * Double(sorted.count)))].rounded()))
        }
        print("\(what): p50 \(quantile(0.5)) us, p99 \(quantile(0.99)) us, n \(sorted.count)")
    }
}
