import Apus

/// Prints which of a few sentences is nearest in meaning to a question.
///
///     swift run -c release NearestText "When do birds sleep?"
@main
struct NearestText {
    static let sentences = [
        "A swift can stay in the air for ten months and dozes on the wing.",
        "The GPU ran out of memory at a batch size of 512.",
        "Bread needs flour, water, salt and patience.",
        "The library closes at eight in the evening.",
    ]

    static func main() async throws {
        let question = CommandLine.arguments.dropFirst().first ?? "When do birds sleep?"
        let embedder = try await Embedder.load()
        let vectors = try await embedder.embed(sentences)
        let asked = try await embedder.embed(question)
        let scored = zip(sentences, vectors).map { sentence, vector in
            (score: zip(asked, vector).reduce(0) { $0 + $1.0 * $1.1 }, sentence: sentence)
        }
        for (score, sentence) in scored.sorted(by: { $0.score > $1.score }) {
            print("\((score * 1000).rounded() / 1000)  \(sentence)")
        }
    }
}
