import Apus
import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusGraph
import ApusRuntime
import Foundation
import Testing

/// Sequence classifiers: their graphs in every form, and the library over them, against transformers and CrossEncoder.
@Suite(.serialized) struct ClassifierTests {
    private let installation = Installation(
        home: TinyCheckpoint.repository.appendingPathComponent(".apus").path, environment: [:], executable: nil)

    private static func rows(_ flat: [Float], _ width: Int) -> [[Float]] {
        stride(from: 0, to: flat.count, by: max(1, width)).map { Array(flat[$0..<min(flat.count, $0 + width)]) }
    }

    /// The largest error of a logit that a form may make: the widest spread of the tiny classifiers' logits is about 2.
    private static let limits: [(form: NetworkForm, error: Float)] = [
        (.plainFP32, 1e-5), (.fusedFP32, 1e-5), (.kernelsFP32, 1e-5), (.kernelsBF16, 0.06), (.kernelsInt8, 0.12), (.fusedInt8, 0.12),
        (.fusedInt4, 0.9),
    ]

    @Test(arguments: TinyClassifier.written, limits)
    func everyFamilyGivesPyTorchsLogitsInEveryForm(tiny: TinyClassifier, limit: (form: NetworkForm, error: Float)) async throws {
        let golden = try tiny.golden()
        let flat = try await TestEngine.run(tiny.directory, limit.form, [golden.sequences])
        let difference = largestDifference(Self.rows(flat, golden.labels.count), golden.logits)
        #expect(difference <= limit.error, "\(tiny.name) \(limit.form): \(difference)")
    }

    @Test(arguments: TinyClassifier.written, [NetworkForm.plainFP32, .fusedFP32, .kernelsFP32, .kernelsInt8])
    func batchedAndAloneAreTheSame(tiny: TinyClassifier, form: NetworkForm) async throws {
        let sequences = try tiny.golden().sequences
        let batched = try await TestEngine.run(tiny.directory, form, [sequences])
        let alone = try await TestEngine.run(tiny.directory, form, sequences.map { [$0] })
        #expect(!batched.isEmpty && batched.count == alone.count)
        #expect(zip(batched, alone).allSatisfy { abs($0 - $1) <= 1e-5 })
        if form.style == .kernels { #expect(batched == alone) }
    }

    @Test(arguments: TinyClassifier.rerankers)
    func rerankersScoreAsCrossEncoderDoes(tiny: TinyClassifier) async throws {
        let golden = try tiny.golden()
        let reranker = try await Reranker.load(tiny.directory, precision: .fp32, installation: installation)
        #expect(reranker.maxTokens == golden.maxTokens && reranker.precision == .fp32)
        #expect((reranker.agreementWithFP32 ?? 0) >= 0.9999)
        var truncated = 0
        for (index, pair) in golden.pairs.enumerated() {
            let answer = try #require(try await reranker.rank(pair.0, [pair.1]).first)
            #expect(abs(answer.logit - golden.pairLogits[index][0]) <= 1e-5, "\(tiny.name) \(index)")
            #expect(abs(answer.score - golden.pairScores[index][0]) <= 1e-5, "\(tiny.name) \(index)")
            truncated += answer.truncated ? 1 : 0
        }
        #expect(truncated >= 3)
    }

    @Test(arguments: TinyClassifier.rerankers)
    func documentsAreOrderedByTheirScores(tiny: TinyClassifier) async throws {
        let golden = try tiny.golden()
        let reranker = try await Reranker.load(tiny.directory, precision: .fp32, installation: installation)
        let documents = golden.pairs.map(\.1) + [golden.pairs[0].1]
        let ranked = try await reranker.rank(golden.pairs[0].0, documents)
        #expect(ranked.map(\.index).sorted() == Array(documents.indices))
        #expect(zip(ranked, ranked.dropFirst()).allSatisfy { $0.score >= $1.score })
        // Documents 0 and 1 belong to this query, and the last is the first once more.
        for answer in ranked where [0, 1, documents.count - 1].contains(answer.index) {
            #expect(abs(answer.logit - golden.pairLogits[answer.index == 1 ? 1 : 0][0]) <= 1e-5)
        }
        let (first, last) = (ranked.firstIndex { $0.index == 0 } ?? 0, ranked.firstIndex { $0.index == documents.count - 1 } ?? 0)
        #expect(first < last)
        #expect(try await reranker.rank("q", []).isEmpty)
    }

    @Test(arguments: TinyClassifier.classifiers)
    func classifiersScoreAsThePipelineDoes(tiny: TinyClassifier) async throws {
        let golden = try tiny.golden()
        let classifier = try await Classifier.load(tiny.directory, precision: .fp32, installation: installation)
        #expect(classifier.labels == golden.labels && classifier.maxTokens == golden.maxTokens)
        let texts = try await classifier.classify(golden.texts)
        let pairs = try await classifier.classify(pairs: golden.pairs)
        #expect(largestDifference(texts.map(\.logits), golden.textLogits) <= 1e-5)
        #expect(largestDifference(texts.map(\.scores), golden.textScores) <= 1e-5)
        #expect(largestDifference(pairs.map(\.logits), golden.pairLogits) <= 1e-5)
        #expect(largestDifference(pairs.map(\.scores), golden.pairScores) <= 1e-5)
        for answer in texts + pairs {
            let best = try #require(answer.scores.max())
            #expect(answer.score == best && answer.label == answer.labels[answer.scores.firstIndex(of: best) ?? 0])
        }
        #expect(texts.contains { $0.truncated } && pairs.contains { $0.truncated })
    }

    @Test func aModelForAnotherTaskIsRefused() async throws {
        let (rank, classify) = (try #require(TinyClassifier.rerankers.first), try #require(TinyClassifier.classifiers.first))
        let embed = try #require(TinyCheckpoint.written.first)
        let refused = { (error: any Error) in (error as? ApusError)?.code == .unsupportedTask }
        for directory in [rank.directory, classify.directory] {
            await #expect { try await Embedder.load(directory, installation: installation) } throws: { refused($0) }
        }
        for directory in [embed.directory, classify.directory] {
            await #expect { try await Reranker.load(directory, installation: installation) } throws: { refused($0) }
        }
        for directory in [embed.directory, rank.directory] {
            await #expect { try await Classifier.load(directory, installation: installation) } throws: { refused($0) }
        }
    }

    @Test(arguments: TinyClassifier.written)
    func aQuantisedCopyServesWithItsHead(tiny: TinyClassifier) async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("apus-classifier-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try Checkpoint(directory: tiny.directory).quantized(to: .int8, into: directory) { _, _ in }
        let sequences = try tiny.golden().sequences
        for form in [NetworkForm.kernelsInt8, .fusedInt8] {
            let saved = try await TestEngine.run(directory, form, [sequences])
            let logits = try await TestEngine.run(tiny.directory, form, [sequences])
            // Kernels round weights once more, after mixing their channels.
            let tolerance: Float = form == .kernelsInt8 ? 0.1 : 0
            #expect(saved.count == logits.count && !saved.isEmpty)
            #expect(zip(saved, logits).allSatisfy { abs($0 - $1) <= tolerance })
        }
    }

    @Test func logitsThatAreNoNumbersAreNotServed() async throws {
        let tiny = try #require(TinyClassifier.rerankers.first { $0.name == "bert-rerank" })
        let copy = FileManager.default.temporaryDirectory.appendingPathComponent("apus-classifier-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: copy) }
        try FileManager.default.copyItem(atPath: tiny.directory, toPath: copy.path)
        let file = copy.appendingPathComponent("model.safetensors")
        var bytes = try Data(contentsOf: file)
        let checkpoint = try Checkpoint(directory: tiny.directory)
        guard case .dense(let head) = checkpoint.modules[2], case .encoder(_, let weights) = checkpoint.source,
            let start = weights.files.first?.bytes.baseAddress, let tensor = head.weight.bytes.baseAddress
        else {
            Issue.record("this is no classifier")
            return
        }
        let offset = tensor - start
        withUnsafeBytes(of: Float.nan) { bytes.replaceSubrange(offset..<(offset + 4), with: $0) }
        try bytes.write(to: file)
        await #expect { try await Reranker.load(copy.path, precision: .fp32, installation: installation) } throws: {
            ($0 as? ApusError)?.code == .engineFailure
        }
    }
}
