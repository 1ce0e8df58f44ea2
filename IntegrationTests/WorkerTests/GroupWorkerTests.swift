import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusGraph
import ApusRuntime
import ApusTensor
import ApusWorkers
import Foundation
import Testing

/// A worker process that is a group of devices.
@Suite(.serialized) struct GroupWorkerTests {
    private static func spawn(_ stages: [[Int]], cores: [Int] = []) async throws(ApusError) -> WorkerExecutor {
        var settings = EngineWorker.settings(lanes: stages.count + 1)
        settings.group = try GroupShape(stages.map { $0.map { GroupShape.Member(DeviceID(.cpu, $0), cores: cores) } })
        return try await WorkerExecutor.spawn(settings, options: WorkerOptions(executable: EngineWorker.executable, arguments: ["engine"]))
    }

    @Test(arguments: [[[0], [1]], [[0, 1]], [[0, 1], [2, 3]]])
    func computesWhatOneDeviceDoes(stages: [[Int]]) async throws {
        let directory = EngineWorker.tiny("bert-mean")
        guard case .encoder(let configuration, _) = try Checkpoint(directory: directory).source else { return }
        let source = LoadRequest.Source.checkpoint(directory: directory, .network(.fusedFP32))
        let local = try await InProcessExecutor(EngineWorker.settings(), graphs: CheckpointGraphs()).load(LoadRequest(name: "m", source: source))
        let worker = try await Self.spawn(stages, cores: [0])
        #expect(worker.laneCount == stages.count + 1 && !worker.engineVersion.isEmpty)
        let parts = stages.count == 1 ? [0..<2] : [0..<1, 1..<2]
        let remote = try await worker.load(LoadRequest(name: "m", source: source, stages: parts))
        #expect(remote.outputs == local.outputs)
        let batches = (1...12).map { length in
            EncoderBatch([length, 1, 7].map { count in
                EncoderBatch.Sequence(ids: (0..<count).map { Int32($0 * 3 + length) }, typeIDs: [Int32](repeating: 0, count: count))
            })
        }
        let answers = await withTaskGroup(of: (Int, Result<HostTensor, ApusError>).self) { tasks in
            for (index, batch) in batches.enumerated() {
                let inputs = batch.tensors(for: remote.inputs, EncoderGraph.conventions(configuration))
                tasks.addTask {
                    await withCheckedContinuation { continuation in
                        worker.submit {
                            let result = Result { () throws(ApusError) in try remote.run(inputs, output: 0, memory: .kept) }
                            continuation.resume(returning: (index, result))
                        }
                    }
                }
            }
            return await tasks.reduce(into: [Int: Result<HostTensor, ApusError>]()) { $0[$1.0] = $1.1 }
        }
        for (index, batch) in batches.enumerated() {
            let expected = try local.run(batch.tensors(for: local.inputs, EncoderGraph.conventions(configuration)), output: 0, memory: .kept)
            let answer = try #require(try answers[index]?.get().float32)
            let whole = try #require(expected.float32)
            // The vectors are normalised: as many rows, each of length 1.
            let dot = zip(answer, whole).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
            #expect(answer.count == whole.count && abs(dot - 3) < 3e-5)
        }
        let state = try #require(try await worker.groupState())
        #expect(state.stages.map { $0.map(\.device) } == stages.map { $0.map { DeviceID(.cpu, $0) } })
        #expect(state.stages.joined().allSatisfy { $0.steps == 12 && $0.busyNanoseconds > 0 && $0.memory.allocatedBytes > 0 })
        #expect(try await worker.memory().allocatedBytes == state.stages.joined().reduce(0) { $0 + $1.memory.allocatedBytes })
        await worker.shutdown()
        #expect(worker.death == .stopped)
    }

    @Test func aPlanThatDoesNotFitTheModelIsToldInTheWordsOfTheGroup() async throws {
        let worker = try await Self.spawn([[0, 1, 2]])
        let source = LoadRequest.Source.checkpoint(directory: EngineWorker.tiny("bert-mean"), .network(.fusedFP32))
        await #expect { _ = try await worker.load(LoadRequest(name: "m", source: source, stages: [0..<2])) } throws: { error in
            let error = error as? ApusError
            return error?.code == .unsupportedPlan && error?.message.contains("4 mod 3 is 1") == true
        }
        await #expect { _ = try await worker.load(LoadRequest(name: "m", source: source)) } throws: {
            ($0 as? ApusError)?.code == .unsupportedPlan
        }
        #expect(worker.death == nil)
        await worker.shutdown()
    }

    @Test func aWorkerOfOneDeviceHasNoGroup() async throws {
        let worker = try await EngineWorker.spawn(lanes: 1)
        #expect(try await worker.groupState() == nil)
        await worker.shutdown()
    }
}
