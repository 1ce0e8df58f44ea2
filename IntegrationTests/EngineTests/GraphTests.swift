import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusGraph
import ApusRuntime
import Testing

/// The graphs Apus writes against what PyTorch computes from the same generated checkpoints.
@Suite struct GraphTests {
    private func run(
        _ checkpoint: Checkpoint, _ form: NetworkForm, _ batches: [[EncoderBatch.Sequence]]
    ) async throws -> [Float] {
        guard case .encoder(let configuration, _) = checkpoint.source else { return [] }
        let executor = try TestEngine.executor()
        let model = try await executor.load(
            LoadRequest(name: checkpoint.name, source: .checkpoint(directory: checkpoint.directory, .network(form)), optimization: form.style == .plain ? .none : .all))
        var rows: [Float] = []
        for sequences in batches {
            let inputs = EncoderBatch(sequences).tensors(for: model.inputs, EncoderGraph.conventions(configuration))
            rows += try model.run(inputs, output: 0, memory: .kept).float32 ?? []
        }
        return rows
    }

    @Test(arguments: TinyCheckpoint.written, [NetworkForm.fusedFP32, .plainFP32])
    func everyFamilyComputesWhatPyTorchDoes(tiny: TinyCheckpoint, form: NetworkForm) async throws {
        let golden = try tiny.golden()
        #expect(golden.vectors.count > 8)
        let rows = try await run(try Checkpoint(directory: tiny.directory), form, [golden.sequences])
        let (cosine, difference) = agreement(rows, golden.vectors)
        let scale = golden.vectors.joined().reduce(1) { max($0, abs($1)) }
        #expect(cosine >= 0.99999)
        #expect(difference <= 1e-4 * scale)
    }

    @Test(arguments: TinyCheckpoint.written)
    func aloneAndBatchedAndReversedAreTheSame(tiny: TinyCheckpoint) async throws {
        let checkpoint = try Checkpoint(directory: tiny.directory)
        let sequences = try tiny.golden().sequences
        let batched = try await run(checkpoint, .fusedFP32, [sequences])
        let alone = try await run(checkpoint, .fusedFP32, sequences.map { [$0] })
        let reversed = try await run(checkpoint, .fusedFP32, [sequences.reversed()])
        let width = batched.count / max(sequences.count, 1)
        let turned = (0..<sequences.count).reversed().flatMap { reversed[($0 * width)..<(($0 + 1) * width)] }
        let scale = batched.reduce(Float(1)) { max($0, abs($1)) }
        #expect(zip(batched, alone).allSatisfy { abs($0 - $1) <= 1e-5 * scale })
        #expect(zip(batched, turned).allSatisfy { abs($0 - $1) <= 1e-5 * scale })
        #expect(alone.count == batched.count && turned.count == batched.count && !batched.isEmpty)
    }
}
