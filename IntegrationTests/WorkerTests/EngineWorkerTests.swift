import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusGraph
import ApusRuntime
import ApusWorkers
import Foundation
import Testing

/// The same graphs in this process and across the boundary.
@Suite(.serialized) struct EngineWorkerTests {
    @Test(arguments: ["bert-mean", "roberta-sqrt-prefixed", "mpnet-mean-max"], [NetworkForm.fusedFP32, .plainFP32])
    func aWorkerComputesToTheBitWhatThisProcessDoes(name: String, form: NetworkForm) async throws {
        let directory = EngineWorker.tiny(name)
        guard case .encoder(let configuration, _) = try Checkpoint(directory: directory).source else { return }
        let request = LoadRequest(name: name, source: .checkpoint(directory: directory, .network(form)))
        let local = try await InProcessExecutor(EngineWorker.settings(), graphs: CheckpointGraphs()).load(request)
        let worker = try await EngineWorker.spawn()
        let remote = try await worker.load(request)
        #expect(remote.inputs == local.inputs)
        #expect(remote.outputs == local.outputs)
        let batch = EncoderBatch([3, 1, 9].map { count in
            EncoderBatch.Sequence(ids: (0..<count).map { Int32($0 + 5) }, typeIDs: [Int32](repeating: 0, count: count))
        })
        let tensors = batch.tensors(for: local.inputs, EncoderGraph.conventions(configuration))
        let expected = try local.run(tensors, output: 0, memory: .kept)
        #expect(expected.count > 0)
        #expect(try remote.run(tensors, output: 0, memory: .kept) == expected)
        let onLane = await withCheckedContinuation { continuation in
            worker.submit {
                continuation.resume(returning: Result { () throws(ApusError) in try remote.run(tensors, output: 0, memory: .released) })
            }
        }
        #expect(try onLane.get() == expected)
        await worker.shutdown()
        #expect(worker.death == .stopped)
    }

    @Test func aMissingEngineAndAMissingCheckpointAreToldInTheWordsOfThisProcess() async throws {
        await #expect { _ = try await EngineWorker.spawn(library: "/nonexistent/libonnxruntime.so") } throws: { error in
            let error = error as? ApusError
            return error?.code == .engineMissing && error?.place == "/nonexistent/libonnxruntime.so" && error?.advice != nil
        }
        let worker = try await EngineWorker.spawn()
        let request = LoadRequest(name: "gone", source: .checkpoint(directory: "/nonexistent/model", .network(.fusedFP32)))
        var local: ApusError?
        do throws(ApusError) {
            _ = try CheckpointGraphs().graph(directory: "/nonexistent/model", .network(.fusedFP32))
        } catch {
            local = error
        }
        await #expect { _ = try await worker.load(request) } throws: { error in
            let error = error as? ApusError
            return error?.code == local?.code && error?.message == local?.message && error?.place == local?.place
        }
        #expect(worker.death == nil)
        await worker.shutdown()
    }

    @Test func aWorkerKilledWhileItComputesIsReplacedByAnotherThatComputesTheSame() async throws {
        let directory = EngineWorker.tiny("bert-mean")
        guard case .encoder(let configuration, _) = try Checkpoint(directory: directory).source else { return }
        let request = LoadRequest(name: "bert-mean", source: .checkpoint(directory: directory, .network(.fusedFP32)))
        let batch = EncoderBatch([.init(ids: [5, 6, 7], typeIDs: [0, 0, 0])])
        var answers: [HostTensor] = []
        for _ in 0..<3 {
            let worker = try await EngineWorker.spawn(lanes: 1)
            let model = try await worker.load(request)
            let tensors = batch.tensors(for: model.inputs, EncoderGraph.conventions(configuration))
            answers.append(try model.run(tensors, output: 0, memory: .kept))
            kill(worker.pid, SIGKILL)
            let failure = await withCheckedContinuation { continuation in
                worker.submit {
                    var failure: ApusError?
                    while failure == nil {
                        do throws(ApusError) {
                            _ = try model.run(tensors, output: 0, memory: .kept)
                        } catch {
                            failure = error
                        }
                    }
                    continuation.resume(returning: failure)
                }
            }
            #expect([.workerKilled, .deviceUnavailable].contains(failure?.code))
            #expect(worker.death == .killed(signal: SIGKILL))
        }
        #expect(answers[0].count > 0 && answers.allSatisfy { $0 == answers[0] })
    }
}
