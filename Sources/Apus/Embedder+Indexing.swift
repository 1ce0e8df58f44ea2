import ApusEmbeddings
import ApusTokenizers

// What whoever keeps vectors of a model must know of it.
extension Embedder {
    /// The SHA-256 of the model's weights, by which vectors of the same model are known.
    package var weightsSHA256: String { ready.weightsSHA256 }

    /// Tokens of a text before anything is cut, special tokens included.
    package func tokenCount(_ text: String) -> Int {
        ready.embedder.tokenizer.encode(text).originalTokenCount
    }
}
