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

    /// ``sentences`` and more, from one word to a paragraph, by which the accuracy of a precision is measured.
    package static let sample =
        sentences + [
            "hello",
            "How do I reset my password?",
            "Der Zug nach Zürich fährt heute von Gleis 7 statt von Gleis 12.",
            "The treaty was signed in 1648, after five years of negotiations in two cities.",
            "Interest rates rose by 0.25 % in March, the third increase within a year.",
            "Boil the potatoes for twenty minutes, drain them, and let them steam dry before they are mashed with butter and warm milk.",
            "error: cannot convert value of type 'Int64' to expected argument type 'Int'",
            "東京は日本の首都であり、世界最大の都市圏の一つである。",
            """
            Photosynthesis turns light into chemical energy: in the light-dependent reactions water is split, oxygen is set free and energy \
            carriers are charged, which the Calvin cycle then spends to build sugars from carbon dioxide. Plants, algae and some \
            bacteria do this, and nearly all life on the planet depends on it directly or at one remove. How fast it runs depends on \
            light, temperature, water and the carbon dioxide in the air; each of these can be the one that is short. Leaves open \
            their pores to let the gas in and lose water through them, so that in dry places many plants open them only at night \
            and store what they took in until the sun is up again.
            """,
            "Patient reports mild chest discomfort after exercise, no fever, no previous surgery; ECG without findings.",
        ]

    package init(vectors: [[Float]]) {
        self.vectors = vectors
    }

    /// Runs the sentences one by one, each alone in its batch. Blocks the calling thread, which must be a lane's.
    package static func compute(
        _ encoder: SentenceEncoder, _ tokenizer: Tokenizer, maxTokens: Int, of sentences: [String] = Self.sentences
    ) throws(ApusError) -> KnownAnswer {
        var vectors: [[Float]] = []
        for sequence in sequences(sentences, tokenizer, maxTokens) { vectors.append(try encoder.run(EncoderBatch([sequence]))) }
        return KnownAnswer(vectors: vectors)
    }

    /// The lowest cosine between this answer and what `encoder` gives for the same sentences in one batch; nil when the shapes
    /// differ or a vector is zero or not finite. Blocks the calling thread, which must be a lane's.
    package func lowestCosine(
        _ encoder: SentenceEncoder, _ tokenizer: Tokenizer, maxTokens: Int, of sentences: [String] = Self.sentences
    ) throws(ApusError) -> Double? {
        let batch = EncoderBatch(Self.sequences(sentences, tokenizer, maxTokens))
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

    private static func sequences(_ sentences: [String], _ tokenizer: Tokenizer, _ maxTokens: Int) -> [EncoderBatch.Sequence] {
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
