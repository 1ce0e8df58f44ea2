package import ApusErrors
import ApusGraph
package import ApusTokenizers

/// What a model computes of built-in texts, by which a loaded model proves that it computes what it should.
package struct KnownAnswer: Sendable, Equatable {
    /// One vector for each of the ``ProofTexts``.
    package let vectors: [[Float]]

    package init(vectors: [[Float]]) {
        self.vectors = vectors
    }

    /// Runs the texts one by one, each alone in its batch. Blocks the calling thread, which must be a lane's.
    package static func compute(
        _ encoder: SentenceEncoder, _ tokenizer: Tokenizer, of texts: ProofTexts
    ) throws(ApusError) -> KnownAnswer {
        var vectors: [[Float]] = []
        for sequence in texts.sequences(tokenizer) { vectors.append(try encoder.run(EncoderBatch([sequence]))) }
        return KnownAnswer(vectors: vectors)
    }

    /// The lowest cosine between this answer and what `encoder` gives for the same texts in one batch, of a classifier the lowest
    /// ``LogitAgreement``; nil when the shapes differ or a vector is zero or not finite. Blocks the calling thread, which must be a lane's.
    package func lowestCosine(
        _ encoder: SentenceEncoder, _ tokenizer: Tokenizer, of texts: ProofTexts
    ) throws(ApusError) -> Double? {
        let batch = EncoderBatch(texts.sequences(tokenizer))
        let answer = try encoder.run(batch)
        let width = encoder.dimensions
        guard vectors.count == batch.count, vectors.allSatisfy({ $0.count == width }) else { return nil }
        let logits = texts.areOfClassifier ? LogitAgreement(vectors) : nil
        var lowest = 1.0
        for (row, expected) in vectors.enumerated() {
            let actual = answer[(row * width)..<((row + 1) * width)]
            let agreement = if let logits { logits.of(row, actual) } else { Self.cosine(expected, actual) }
            guard let agreement else { return nil }
            lowest = min(lowest, agreement)
        }
        return lowest
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
