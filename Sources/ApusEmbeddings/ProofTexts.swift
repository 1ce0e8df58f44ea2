package import ApusCheckpoint
import ApusGraph
import ApusTokenizers

/// Built-in texts, or pairs of texts, by which a loaded model proves that it computes what it should.
package struct ProofTexts: Sendable {
    private let texts: [(first: String, second: String?)]
    private let checkpoint: Checkpoint

    /// A few, which every load computes.
    package static func few(for checkpoint: Checkpoint) -> ProofTexts {
        ProofTexts(checkpoint, sentences, Array(pairs.prefix(6)))
    }

    /// Those and more, from one word to a paragraph, by which the accuracy of a precision is measured.
    package static func sample(for checkpoint: Checkpoint) -> ProofTexts {
        ProofTexts(checkpoint, sentences + moreSentences, pairs)
    }

    private init(_ checkpoint: Checkpoint, _ sentences: [String], _ pairs: [(String, String)]) {
        self.checkpoint = checkpoint
        let (alone, together) = (sentences.map { ($0, String?.none) }, pairs.map { ($0, String?.some($1)) })
        texts =
            switch checkpoint.task {
            case .embedding: alone
            case .rerank: together
            case .classify: alone + together
            }
    }

    /// Whether the answers are logits.
    var areOfClassifier: Bool { checkpoint.classifier != nil }

    func sequences(_ tokenizer: Tokenizer) -> [EncoderBatch.Sequence] {
        texts.compactMap { text in
            let encoding = tokenizer.encode(text.first, pair: text.second).truncated(to: checkpoint.maxTokens)
            return encoding.ids.isEmpty ? nil : EncoderBatch.Sequence(encoding, checkpoint.typeVocabularySize)
        }
    }

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

    /// ``sentences`` and more.
    package static let allSentences = sentences + moreSentences

    private static let moreSentences = [
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

    /// Some belong together and some do not: what a trained model says of them differs as much as what it says at all.
    private static let pairs = [
        ("How do swifts sleep?", sentences[0]),
        ("How do swifts sleep?", "Interest rates rose by 0.25 % in March, the third increase within a year."),
        ("Why do inference servers batch requests?", sentences[5]),
        ("Where is the library?", sentences[2]),
        (sentences[5], "42"),
        ("reset password", "Boil the potatoes for twenty minutes, drain them, and let them steam dry before they are mashed."),
        ("How do I reset my password?", "Open the settings, choose Security and press Reset password; a link is sent to your address."),
        ("When did the war end?", "The treaty was signed in 1648, after five years of negotiations in two cities."),
        ("日本の首都はどこですか。", "東京は日本の首都であり、世界最大の都市圏の一つである。"),
        ("日本の首都はどこですか。", "error: cannot convert value of type 'Int64' to expected argument type 'Int'"),
        ("What do plants make from carbon dioxide?", moreSentences[8]),
        (moreSentences[8], "Plants make sugar from light and air."),
        ("A man is eating.", "Nobody is eating."),
        ("hello", "hello"),
    ]
}
