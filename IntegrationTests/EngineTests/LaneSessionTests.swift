import ApusErrors
import ApusExecution
import ApusGraph
import ApusRuntime
import ApusTensor
import Foundation
import Testing

/// A session for each lane with its inputs and outputs bound, as CUDA devices have them, on the memory of a CPU.
@Suite struct LaneSessionTests {
    private func executor(_ graphs: any GraphSource, _ routing: SessionRouting?, lanes: Int = 2) throws -> InProcessExecutor {
        try InProcessExecutor(
            ExecutorSettings(device: DeviceID(.cpu, 0), lanes: lanes, engineLibrary: TestEngine.library), graphs: graphs, routing: routing)
    }

    @Test(arguments: ["bert-mean", "plain"])
    func `Bound sessions give the very numbers that others give`(name: String) async throws {
        let directory = TinyCheckpoint.fixtures.appendingPathComponent("bert-mean").path
        let form = name == "bert-mean" ? NetworkForm.fusedFP32 : .plainFP32
        let request = LoadRequest(name: name, source: .checkpoint(directory: directory, .network(form)))
        let plain = try await executor(CheckpointGraphs(), nil).load(request)
        let bound = try await executor(CheckpointGraphs(), .lanes).load(request)
        #expect(bound.inputs == plain.inputs && bound.outputs == plain.outputs && bound.assignment == plain.assignment)
        for lengths in [[3], [1, 7, 2], [9, 9, 9, 9], [2]] {
            let batch = EncoderBatch(
                lengths.map { length in
                    EncoderBatch.Sequence(
                        ids: (0..<length).map { Int32(5 + $0 * 3 % 20) }, typeIDs: [Int32](repeating: 0, count: length))
                })
            let inputs = batch.tensors(for: plain.inputs, EncoderConventions())
            let expected = try plain.run(inputs, output: 0, memory: .kept)
            #expect(try bound.run(inputs, output: 0, memory: .kept) == expected)
            #expect(try bound.run(inputs, output: 0, memory: .released) == expected)
        }
    }

    @Test func `Lanes compute beside each other, each in a session of its own`() async throws {
        let executor = try executor(SyntheticGraph(), .lanes, lanes: 3)
        let model = try await executor.load(SyntheticGraph.request())
        let wrong = Tally()
        await withTaskGroup(of: Void.self) { group in
            for run in 0..<60 {
                group.addTask {
                    await withCheckedContinuation { continuation in
                        executor.submit {
                            // Of many sizes, so that staging memory grows and is given back in between.
                            let input = SyntheticGraph.input(rows: 1 + run * 7 % 97, value: Float(run))
                            let output = try? model.run(["x": input], output: 0, memory: run % 6 == 0 ? .released : .kept)
                            if output != input { wrong.add() }
                            continuation.resume()
                        }
                    }
                }
            }
            for _ in 0..<4 { group.addTask { try? await executor.clearCache() } }
        }
        #expect(wrong.count == 0)
    }

    @Test func `Memory is that of all sessions, and goes with the model`() async throws {
        func allocated(_ lanes: Int) async throws -> (held: Int, left: Int) {
            let executor = try executor(SyntheticGraph(), .lanes, lanes: lanes)
            var model: (any LoadedModel)? = try await executor.load(SyntheticGraph.request())
            _ = try model?.run(["x": SyntheticGraph.input(rows: 4)], output: 0, memory: .kept)
            let held = try await executor.memory().reservedBytes
            model = nil
            // The thread of the last step may hold the model a moment longer.
            for _ in 0..<1000 where try await executor.memory().allocatedBytes > 0 { try await Task.sleep(for: .milliseconds(5)) }
            return (held, try await executor.memory().allocatedBytes)
        }
        let (one, two) = (try await allocated(1), try await allocated(2))
        #expect(two.held > one.held && one.held > 0)
        #expect(one.left == 0 && two.left == 0)
    }

    @Test func `What does not fit the model is refused, and the next step goes well`() async throws {
        let executor = try executor(SyntheticGraph(), .lanes, lanes: 1)
        let model = try await executor.load(SyntheticGraph.request())
        let good = SyntheticGraph.input(rows: 2, value: 5)
        let wide = HostTensor([2, 8], .float32([Float](repeating: 1, count: 16)))
        for _ in 0..<3 {
            #expect(throws: ApusError.self) { try model.run(["x": wide], output: 0, memory: .kept) }
            #expect(throws: ApusError.self) { try model.run(["x": good], output: 4, memory: .kept) }
            #expect(throws: ApusError.self) { try model.run([:], output: 0, memory: .kept) }
            #expect(try model.run(["x": good], output: 0, memory: .kept) == good)
        }
    }
}
