import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusGraph
import ApusRuntime
import ApusTensor
import Foundation
import Testing

/// Models that run in segments, resident or read one after the other, against the same models whole.
@Suite(.serialized) struct SegmentTests {
    private static let forms: [NetworkForm] = [.fusedFP32, .plainFP32, .fusedInt8, .kernelsFP32, .kernelsInt8]

    private static func load(
        _ directory: String, _ form: NetworkForm, _ segmentation: Segmentation, onto executor: any Executor
    ) async throws -> any LoadedModel {
        try await executor.load(
            LoadRequest(
                name: "segmented", source: .checkpoint(directory: directory, .segmented(form, segmentation)),
                optimization: form.style == .plain ? .none : .all))
    }

    private static func rows(_ model: any LoadedModel, _ sequences: [EncoderBatch.Sequence]) throws -> [Float] {
        let inputs = EncoderBatch(sequences).tensors(for: model.inputs, EncoderConventions())
        return try model.run(inputs, output: 0, memory: .kept).float32 ?? []
    }

    private static func requireEqual(_ rows: [Float], _ whole: [Float], count: Int, _ form: NetworkForm, _ what: String) {
        #expect(!whole.isEmpty)
        let width = whole.count / max(1, count)
        let expected = (0..<count).map { Array(whole[($0 * width)..<(($0 + 1) * width)]) }
        #expect(agreement(rows, expected).cosine >= 0.99999, "\(what)")
        // Rows of the kernels do not depend on the rows around them.
        if form.style == .kernels { #expect(rows == whole, "\(what)") }
    }

    @Test(arguments: TinyCheckpoint.written, forms)
    func segmentsGiveEveryFamilyWhatTheWholeGives(tiny: TinyCheckpoint, form: NetworkForm) async throws {
        let sequences = try tiny.golden().sequences
        let whole = try await TestEngine.run(tiny.directory, form, [sequences])
        let executor = try TestEngine.executor()
        for residency in Segmentation.Residency.allCases {
            for (count, tokens) in [(1, 40), (2, 1), (2, 64), (2, 100_000)] {
                let segmentation = try Segmentation(count: count, residency: residency, chunkTokens: tokens)
                let model = try await Self.load(tiny.directory, form, segmentation, onto: executor)
                Self.requireEqual(
                    try Self.rows(model, sequences), whole, count: sequences.count, form, "\(tiny.name) \(form) \(segmentation)")
                #expect(model.assignment.shares.reduce(0) { $0 + $1.nodes } > 0)
            }
        }
        await executor.shutdown()
    }

    @Test(arguments: [NetworkForm.fusedFP32, .kernelsFP32, .kernelsInt8], [3, 6])
    func segmentsOfMiniLMGiveWhatTheWholeGives(form: NetworkForm, count: Int) async throws {
        let sequences = Array(try MiniLMFormTests.golden().0.prefix(40))
        let whole = try await TestEngine.run(MiniLMFormTests.directory, form, [sequences])
        let executor = try TestEngine.executor()
        for residency in Segmentation.Residency.allCases {
            let segmentation = try Segmentation(count: count, residency: residency, chunkTokens: 256)
            let model = try await Self.load(MiniLMFormTests.directory, form, segmentation, onto: executor)
            Self.requireEqual(try Self.rows(model, sequences), whole, count: sequences.count, form, "\(form) \(segmentation)")
        }
        await executor.shutdown()
    }

    /// Two lanes, each with steps of its own, at the same time.
    @Test(arguments: Segmentation.Residency.allCases)
    func lanesShareASegmentedModel(residency: Segmentation.Residency) async throws {
        let sequences = Array(try MiniLMFormTests.golden().0.prefix(16))
        let whole = try await TestEngine.run(MiniLMFormTests.directory, .kernelsInt8, [sequences])
        let executor = try TestEngine.executor()
        let segmentation = try Segmentation(count: 3, residency: residency, chunkTokens: 128)
        let model = try await Self.load(MiniLMFormTests.directory, .kernelsInt8, segmentation, onto: executor)
        let results = await withTaskGroup(of: [Float]?.self) { group in
            for _ in 0..<6 {
                group.addTask {
                    await withCheckedContinuation { continuation in
                        executor.submit { continuation.resume(returning: try? Self.rows(model, sequences)) }
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(results.count == 6)
        for result in results { #expect(result == whole) }
        await executor.shutdown()
    }

    /// What an executor counts while nothing runs: of an offloaded model no weight is left.
    @Test func offloadedWeightsAreGivenBack() async throws {
        let sequences = Array(try MiniLMFormTests.golden().0.prefix(4))
        var held: [Segmentation.Residency: Int] = [:]
        for residency in Segmentation.Residency.allCases {
            let executor = try TestEngine.executor()
            let model = try await Self.load(
                MiniLMFormTests.directory, .fusedFP32, try Segmentation(count: 3, residency: residency, chunkTokens: 256), onto: executor)
            _ = try Self.rows(model, sequences)
            held[residency] = try await executor.memory().reservedBytes
            withExtendedLifetime(model) {}
            await executor.shutdown()
        }
        // The layers' weights are 41 MiB.
        #expect(try #require(held[.resident]) > 35 << 20)
        #expect(try #require(held[.offloaded]) < 1 << 20)
        #expect(try #require(held[.prefetched]) < 1 << 20)
    }

    @Test func stepsThatFailLeaveAnOffloadedModelUsable() async throws {
        let sequences = Array(try MiniLMFormTests.golden().0.prefix(4))
        let executor = try TestEngine.executor()
        for residency in Segmentation.Residency.allCases {
            let model = try await Self.load(
                MiniLMFormTests.directory, .kernelsFP32, try Segmentation(count: 2, residency: residency, chunkTokens: 64), onto: executor)
            let expected = try Self.rows(model, sequences)
            let wrong = [EncoderBatch.Sequence(ids: [101, .max, 102], typeIDs: [0, 0, 0])] + sequences
            #expect(throws: ApusError.self) { try Self.rows(model, wrong) }
            #expect(try Self.rows(model, sequences) == expected)
        }
        await executor.shutdown()
    }

    @Test func whatCannotBeCutIsRefused() async throws {
        let executor = try TestEngine.executor()
        let tooMany = try Segmentation(count: 7, chunkTokens: 256)
        await #expect {
            _ = try await Self.load(MiniLMFormTests.directory, .fusedFP32, tooMany, onto: executor)
        } throws: { ($0 as? ApusError)?.code == .unsupportedPlan }
        let file = TinyCheckpoint.fixtures.appendingPathComponent("onnx-bert").path
        await #expect {
            _ = try await Self.load(file, .fusedFP32, try Segmentation(count: 1, chunkTokens: 256), onto: executor)
        } throws: { ($0 as? ApusError)?.code == .unsupportedPlan }
        await executor.shutdown()
    }
}
