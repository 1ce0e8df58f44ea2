import Apus
import ApusJSON
import Foundation
import Testing

/// The public library, used as another package would use it.
@Suite(.serialized) struct EmbedderTests {
    private let installation = Installation(
        home: TinyCheckpoint.repository.appendingPathComponent(".apus").path, environment: [:], executable: nil)

    @Test(arguments: TinyCheckpoint.all)
    func vectorsAreThoseOfSentenceTransformers(tiny: TinyCheckpoint) async throws {
        let embedder = try await Embedder.load(tiny.directory, precision: .fp32, installation: installation)
        let golden = try tiny.golden()
        let vectors = try await embedder.embed(try tiny.texts())
        let (cosine, difference) = agreement(Array(vectors.joined()), golden.vectors)
        let scale = golden.vectors.joined().reduce(1) { max($0, abs($1)) }
        #expect(cosine >= 0.99999)
        #expect(difference <= 1e-4 * scale)
        #expect(vectors.allSatisfy { $0.count == embedder.dimensions })
    }

    @Test func theDefaultModelPutsLikeTextsTogether() async throws {
        let embedder = try await Embedder.load(installation: installation)
        #expect(embedder.model == Installation.defaultModel && embedder.dimensions == 384 && embedder.maxTokens == 256)
        let vectors = try await embedder.embed([
            "A bird sleeps while it flies.", "Swifts doze on the wing.", "The invoice is due on Friday.",
        ])
        func similarity(_ a: Int, _ b: Int) -> Float { zip(vectors[a], vectors[b]).reduce(0) { $0 + $1.0 * $1.1 } }
        #expect(similarity(0, 1) > similarity(0, 2) + 0.2)
        #expect(abs(similarity(0, 0) - 1) < 1e-5)
    }

    @Test func truncationIsReported() async throws {
        let embedder = try await Embedder.load(installation: installation)
        let details = try await embedder.embedWithDetails(["short", String(repeating: "word ", count: 1000)])
        #expect(details.map(\.truncated) == [false, true])
        #expect(details.map(\.tokens) == [3, 256] && details[1].originalTokens == 1002)
    }

    @Test func theDefaultPrecisionKeepsTheModelsAccuracy() async throws {
        let texts = ["A bird sleeps while it flies.", "Swifts doze on the wing.", "The invoice is due on Friday."]
        let chosen = try await Embedder.load(installation: installation)
        let full = try await Embedder.load(precision: .fp32, installation: installation)
        #expect(full.precision == .fp32 && chosen.precision != .auto)
        let (cosine, _) = agreement(Array(try await chosen.embed(texts).joined()), try await full.embed(texts))
        #expect(cosine >= 0.9999)
    }

    @Test func precisionsThatTheDeviceLacksAreRefused() async {
        await #expect { try await Embedder.load(precision: .fp16, installation: installation) } throws: {
            ($0 as? ApusError)?.code == .unsupportedPrecision
        }
    }
}
