package import ApusErrors
import ApusGraph
package import ApusTokenizers

/// Vectors of built-in sentences, by which a loaded model proves that it computes what it should.
package struct KnownAnswer: Sendable, Equatable {
    /// One vector for each of ``sentences``.
    package let vectors: [[Float]]

    /// Of different lengths, scripts and registers, so that a wrong mask, position or tokenizer cannot hide.
    package static let sentences = [
        "Swifts sleep on the wing.",
        "The quick brown fox jumps over the lazy dog, and nobody who saw it that morning thought anything of it.",
        "¿Dónde está la biblioteca? Nebenan, gleich hinter der Brücke.",
        "import Apus; let vectors = try await embedder.embed([\"hello\", \"world\"])",
        "42",
        """
        Inference servers batch what different clients ask at the same moment, because a matrix product over many rows costs \
        little more than one over a few; what they must never do is let one client's text change another client's vector, \
        however the lengths of the two differ and in whatever order they arrived.
        """,
    ]

    package init(vectors: [[Float]]) {
        self.vectors = vectors
    }

    /// Runs the sentences one by one, each alone in its batch. Blocks the calling thread, which must be a lane's.
    package static func compute(
        _ encoder: SentenceEncoder, _ tokenizer: Tokenizer, maxTokens: Int
    ) throws(ApusError) -> KnownAnswer {
        var vectors: [[Float]] = []
        for sequence in sequences(tokenizer, maxTokens) { vectors.append(try encoder.run(EncoderBatch([sequence]))) }
        return KnownAnswer(vectors: vectors)
    }

    /// The lowest cosine between this answer and what `encoder` gives for the same sentences in one batch; nil when the shapes
    /// differ or a vector is zero or not finite. Blocks the calling thread, which must be a lane's.
    package func lowestCosine(
        _ encoder: SentenceEncoder, _ tokenizer: Tokenizer, maxTokens: Int
    ) throws(ApusError) -> Double? {
        let batch = EncoderBatch(Self.sequences(tokenizer, maxTokens))
        let answer = try encoder.run(batch)
        let width = encoder.dimensions
        guard vectors.count == batch.count, vectors.allSatisfy({ $0.count == width }) else { return nil }
        var lowest = 1.0
        for (row, expected) in vectors.enumerated() {
            guard let cosine = Self.cosine(expected, answer[(row * width)..<((row + 1) * width)]) else { return nil }
            lowest = min(lowest, cosine)
        }
        return lowest
    }

    private static func sequences(_ tokenizer: Tokenizer, _ maxTokens: Int) -> [EncoderBatch.Sequence] {
        sentences.compactMap { sentence in
            let encoding = tokenizer.encode(sentence).truncated(to: maxTokens)
            return encoding.ids.isEmpty ? nil : EncoderBatch.Sequence(ids: encoding.ids, typeIDs: encoding.typeIDs)
        }
    }

    private static func cosine(_ a: [Float], _ b: ArraySlice<Float>) -> Double? {
        var (dot, aa, bb) = (0.0, 0.0, 0.0)
        for (x, y) in zip(a, b) {
            dot += Double(x) * Double(y)
            aa += Double(x) * Double(x)
            bb += Double(y) * Double(y)
        }
        let cosine = dot / (aa * bb).squareRoot()
        return cosine.isFinite ? cosine : nil
    }
}
