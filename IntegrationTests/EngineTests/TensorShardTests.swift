import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusGraph
import ApusRuntime
import ApusTensor
import CApusCollectives
import Foundation
import Testing

/// Networks whose layers are shared by ranks, each a session of its own on a thread of its own, against the same networks whole.
@Suite(.serialized) struct TensorShardTests {
    private static func run(
        _ directory: String, _ form: NetworkForm, _ slices: [NetworkSlice], _ sequences: [EncoderBatch.Sequence]
    ) async throws -> [[Float]] {
        let checkpoint = try Checkpoint(directory: directory)
        guard case .encoder(let configuration, _) = checkpoint.source else { return [] }
        let executor = try TestEngine.executor()
        var models: [any LoadedModel] = []
        for slice in slices {
            models.append(
                try await executor.load(
                    LoadRequest(
                        name: "\(slice)", source: .checkpoint(directory: directory, .network(form, slice)),
                        optimization: form.style == .plain ? .none : .all)))
        }
        let communicator = try #require(apus_communicator_create(Int32(models.count), 30_000_000_000))
        defer { apus_communicator_release(communicator) }
        let shared = UInt(bitPattern: communicator)
        let batch = EncoderBatch(sequences)
        let results = await withTaskGroup(of: (Int, Result<[Float], ApusError>).self) { group in
            for (rank, model) in models.enumerated() {
                let inputs = batch.tensors(for: model.inputs, EncoderGraph.conventions(configuration))
                group.addTask {
                    await withCheckedContinuation { continuation in
                        Thread.detachNewThread {
                            apus_thread_join(OpaquePointer(bitPattern: shared), Int32(rank))
                            let result = Result { () throws(ApusError) in
                                try model.run(inputs, output: 0, memory: .kept).float32 ?? []
                            }
                            apus_thread_join(nil, 0)
                            continuation.resume(returning: (rank, result))
                        }
                    }
                }
            }
            return await group.reduce(into: [Int: Result<[Float], ApusError>]()) { $0[$1.0] = $1.1 }
        }
        return try models.indices.map { try #require(results[$0]).get() }
    }

    private static func slices(_ ranks: Int, layers: Int) throws -> [NetworkSlice] {
        try (0..<ranks).map { try NetworkSlice(layers: 0..<layers, layerCount: layers, rank: $0, ranks: ranks, group: "test") }
    }

    private static func requireEqual(_ ranks: [[Float]], _ whole: [Float], width: Int, _ what: String) {
        let expected = stride(from: 0, to: whole.count, by: width).map { Array(whole[$0..<($0 + width)]) }
        #expect(!expected.isEmpty)
        for rank in ranks {
            #expect(rank == ranks[0], "\(what)")
            #expect(agreement(rank, expected).cosine >= 0.99999, "\(what)")
        }
    }

    @Test(arguments: TinyCheckpoint.written, [NetworkForm.plainFP32, .fusedFP32])
    func ranksOfEveryFamilyGiveWhatTheWholeGives(tiny: TinyCheckpoint, form: NetworkForm) async throws {
        let sequences = try tiny.golden().sequences
        let whole = try await TestEngine.run(tiny.directory, form, [sequences])
        for ranks in [2, 4] {
            let shared = try await Self.run(tiny.directory, form, try Self.slices(ranks, layers: 2), sequences)
            Self.requireEqual(shared, whole, width: whole.count / max(1, sequences.count), "\(tiny.name) \(form) by \(ranks) ranks")
        }
    }

    @Test(arguments: [2, 4])
    func ranksOfMiniLMGiveWhatTheWholeGives(ranks: Int) async throws {
        let sequences = Array(try MiniLMFormTests.golden().0.prefix(16))
        let whole = try await TestEngine.run(MiniLMFormTests.directory, .fusedFP32, [sequences])
        // MiniLM has 12 heads, of 32 elements each.
        let shared = try await Self.run(MiniLMFormTests.directory, .fusedFP32, try Self.slices(ranks, layers: 6), sequences)
        Self.requireEqual(shared, whole, width: 384, "\(ranks) ranks")
    }
}
