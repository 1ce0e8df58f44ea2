import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusGraph
import ApusRuntime
import ApusTensor
import Foundation
import Testing

/// Networks that run stage by stage against the same networks whole.
@Suite(.serialized) struct NetworkSliceTests {
    /// The forms that the engine has kernels for on a CPU.
    private static let forms: [NetworkForm] = [
        .plainFP32, .fusedFP32, .fusedInt8, .fusedInt4, .kernelsFP32, .kernelsBF16, .kernelsInt8,
    ]

    /// The stages of a network one after the other, as the inputs of a batch go through them.
    private static func run(
        _ directory: String, _ form: NetworkForm, stages: Int, layers: Int, _ sequences: [EncoderBatch.Sequence]
    ) async throws -> [Float] {
        let checkpoint = try Checkpoint(directory: directory)
        guard case .encoder(let configuration, _) = checkpoint.source else { return [] }
        let executor = try TestEngine.executor()
        let batch = EncoderBatch(sequences)
        var hidden: HostTensor?
        for stage in 0..<stages {
            let slice = try NetworkSlice(layers: (stage * layers / stages)..<((stage + 1) * layers / stages), layerCount: layers)
            let model = try await executor.load(
                LoadRequest(
                    name: "\(slice)", source: .checkpoint(directory: directory, .network(form, slice)),
                    optimization: form.style == .plain ? .none : .all))
            var inputs = batch.tensors(for: model.inputs, EncoderGraph.conventions(configuration))
            if let hidden { inputs[EncoderGraph.hiddenInput] = hidden }
            hidden = try model.run(inputs, output: 0, memory: .kept)
        }
        return hidden?.float32 ?? []
    }

    @Test(arguments: TinyCheckpoint.written, forms)
    func stagesGiveEveryFamilyTheBitsOfTheWhole(tiny: TinyCheckpoint, form: NetworkForm) async throws {
        let deep = try DeepCheckpoint(tiny)
        let sequences = try tiny.golden().sequences
        let whole = try await TestEngine.run(deep.directory.path, form, [sequences])
        #expect(!whole.isEmpty && whole.allSatisfy(\.isFinite))
        for stages in [2, 3, 6] {
            let split = try await Self.run(deep.directory.path, form, stages: stages, layers: DeepCheckpoint.layers, sequences)
            #expect(split == whole, "\(tiny.name) \(form) in \(stages) stages")
        }
    }

    @Test(arguments: forms, [2, 3, 6])
    func stagesOfMiniLMGiveTheBitsOfTheWhole(form: NetworkForm, stages: Int) async throws {
        let sequences = Array(try MiniLMFormTests.golden().0.prefix(24))
        let whole = try await TestEngine.run(MiniLMFormTests.directory, form, [sequences])
        let split = try await Self.run(MiniLMFormTests.directory, form, stages: stages, layers: 6, sequences)
        #expect(whole.count == 24 * 384)
        #expect(split == whole)
    }
}
