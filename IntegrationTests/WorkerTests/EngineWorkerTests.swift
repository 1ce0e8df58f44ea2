import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusGraph
import ApusRuntime
import ApusWorkers
import Testing

/// The same graphs in this process and across the boundary.
@Suite(.serialized) struct EngineWorkerTests {
    @Test(arguments: ["bert-mean", "roberta-sqrt-prefixed", "mpnet-mean-max"], [GraphStyle.fused, .plain])
    func aWorkerComputesToTheBitWhatThisProcessDoes(name: String, style: GraphStyle) async throws {
        let directory = EngineWorker.tiny(name)
        guard case .encoder(let configuration, _) = try Checkpoint(directory: directory).source else { return }
        let request = LoadRequest(name: name, source: .checkpoint(directory: directory, .network(style)))
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
}
