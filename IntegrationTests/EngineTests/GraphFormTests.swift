import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusGraph
import ApusRuntime
import ApusTensor
import Foundation
import Testing

/// The forms that networks are written in, against what PyTorch computes in fp32 and against each other.
@Suite struct GraphFormTests {
    /// Lowest cosine to PyTorch's vectors that a form must keep on the tiny checkpoints, whose random weights in narrow layers lose more than any trained network's.
    private static let floors: [(form: NetworkForm, cosine: Double)] = [
        (.kernelsFP32, 0.99999), (.kernelsBF16, 0.9995), (.kernelsInt8, 0.997), (.fusedInt8, 0.999), (.fusedInt4, 0.92),
    ]

    @Test(arguments: TinyCheckpoint.written, floors)
    func everyFamilyKeepsItsAccuracyInEveryForm(tiny: TinyCheckpoint, floor: (form: NetworkForm, cosine: Double)) async throws {
        let golden = try tiny.golden()
        let rows = try await TestEngine.run(tiny.directory, floor.form, [golden.sequences])
        let (cosine, difference) = agreement(rows, golden.vectors)
        #expect(cosine >= floor.cosine, "\(tiny.name) \(floor.form): \(cosine)")
        guard floor.form.precision == .fp32 else { return }
        let scale = golden.vectors.joined().reduce(1) { max($0, abs($1)) }
        #expect(difference <= 1e-4 * scale)
    }

    @Test(arguments: TinyCheckpoint.written, [NetworkForm.kernelsFP32, .kernelsBF16, .kernelsInt8])
    func kernelsGiveASequenceTheSameBitsWhateverIsAroundIt(tiny: TinyCheckpoint, form: NetworkForm) async throws {
        let sequences = try tiny.golden().sequences
        let batched = try await TestEngine.run(tiny.directory, form, [sequences])
        let alone = try await TestEngine.run(tiny.directory, form, sequences.map { [$0] })
        let reversed = try await TestEngine.run(tiny.directory, form, [sequences.reversed()])
        let width = batched.count / max(sequences.count, 1)
        let turned = (0..<sequences.count).reversed().flatMap { reversed[($0 * width)..<(($0 + 1) * width)] }
        #expect(!batched.isEmpty)
        #expect(batched == alone)
        #expect(batched == turned)
    }

    @Test(arguments: [NetworkForm.fusedFP16, .fusedBF16])
    func sixteenBitsAreRefusedOnTheCPU(form: NetworkForm) async throws {
        let directory = try #require(TinyCheckpoint.written.first).directory
        await #expect {
            _ = try await TestEngine.run(directory, form, [])
        } throws: { ($0 as? ApusError)?.code == .unsupportedPrecision }
    }

    private static let saved: [(precision: Precision, forms: [NetworkForm])] = [
        (.int8, [.kernelsInt8, .fusedInt8]), (.int4, [.fusedInt4]),
    ]

    @Test(arguments: TinyCheckpoint.written, saved)
    func aQuantisedCheckpointComputesWhatQuantisingAtLoadDoes(
        tiny: TinyCheckpoint, saved: (precision: Precision, forms: [NetworkForm])
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("apus-quantised-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let source = try Checkpoint(directory: tiny.directory)
        var progress: [(done: Int, total: Int)] = []
        try source.quantized(to: saved.precision, into: directory) { progress.append(($0, $1)) }
        #expect(progress.first?.done == 0 && progress.last?.done == progress.last?.total && progress.count > 2)
        let copy = try Checkpoint(directory: directory)
        #expect(copy.quantization == saved.precision && source.quantization == nil)
        #expect(copy.maxTokens == source.maxTokens && copy.dimensions == source.dimensions && copy.prompts == source.prompts)
        #expect(try copy.weightsSHA256() != source.weightsSHA256())
        let sequences = try tiny.golden().sequences
        for form in saved.forms {
            let expected = try await TestEngine.run(tiny.directory, form, [sequences])
            #expect(!expected.isEmpty)
            let vectors = try await TestEngine.run(directory, form, [sequences])
            // Kernels round weights once more, after mixing their channels.
            if form == .kernelsInt8 {
                let width = expected.count / sequences.count
                let (cosine, _) = agreement(vectors, stride(from: 0, to: expected.count, by: width).map { Array(expected[$0..<($0 + width)]) })
                #expect(cosine >= 0.99, "\(cosine)")
            } else {
                #expect(vectors == expected, "\(form)")
            }
        }
        // The other forms read it, too: they compute with the values that the integers stand for.
        let golden = try tiny.golden()
        let (cosine, _) = agreement(try await TestEngine.run(directory, .plainFP32, [sequences]), golden.vectors)
        #expect(cosine >= (saved.precision == .int4 ? 0.92 : 0.999), "\(cosine)")
    }
}

extension TestEngine {
    /// The vectors of the batches, one after the other, of the checkpoint in `directory`.
    static func run(_ directory: String, _ form: NetworkForm, _ batches: [[EncoderBatch.Sequence]]) async throws -> [Float] {
        let checkpoint = try Checkpoint(directory: directory)
        guard case .encoder(let configuration, _) = checkpoint.source else { return [] }
        let model = try await executor().load(
            LoadRequest(
                name: checkpoint.name, source: .checkpoint(directory: directory, .network(form)),
                optimization: form.style == .plain ? .none : .all))
        var rows: [Float] = []
        for sequences in batches {
            let inputs = EncoderBatch(sequences).tensors(for: model.inputs, EncoderGraph.conventions(configuration))
            rows += try model.run(inputs, output: 0, memory: .kept).float32 ?? []
        }
        return rows
    }
}
