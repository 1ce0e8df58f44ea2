import Apus
import ApusErrors

/// How long the parts are that a text is cut into.
struct ChunkSize: Sendable {
    let tokens: Int
    /// Tokens that a chunk has in common with the one before; less than half of ``tokens``.
    let overlap: Int

    /// Throws `invalid_value` for chunks that the model would cut, and for an overlap of half of a chunk or more.
    init(tokens: Int?, overlap: Int?, of embedder: Embedder) throws(ApusError) {
        let special = embedder.tokenCount("")
        let most = max(1, embedder.maxTokens - special)
        let tokens = tokens ?? min(256, most)
        guard tokens <= most else {
            throw ApusError(
                .invalidValue, "\(tokens) tokens are more than the \(most) that '\(embedder.model)' takes of a text", place: "--chunk-tokens")
        }
        let overlap = overlap ?? min(32, tokens / 4)
        guard overlap < (tokens + 1) / 2 else {
            throw ApusError(.invalidValue, "an overlap of \(overlap) is half of a chunk of \(tokens) tokens or more", place: "--chunk-overlap")
        }
        (self.tokens, self.overlap) = (tokens, overlap)
    }
}

/// A text cut at white space into parts of so many tokens.
///
/// Words are counted one by one, which is exact for tokenizers that part at white space and close for others; a word that is longer than a chunk
/// is one of its own, which the model cuts.
struct TextChunks: Sendable {
    let chunks: [String]

    init(_ text: String, _ size: ChunkSize, count tokens: (String) -> Int) {
        var words: [(range: Range<String.Index>, tokens: Int)] = []
        var counted: [[UInt8]: Int] = [:]
        for word in text.split(whereSeparator: \.isWhitespace) {
            let count = counted[Array(word.utf8)] ?? tokens(String(word))
            counted[Array(word.utf8)] = count
            words.append((word.startIndex..<word.endIndex, count))
        }
        var chunks: [String] = []
        var first = 0
        while first < words.count {
            var (last, sum) = (first, words[first].tokens)
            while last + 1 < words.count, sum + words[last + 1].tokens <= size.tokens {
                last += 1
                sum += words[last].tokens
            }
            chunks.append(String(text[words[first].range.lowerBound..<words[last].range.upperBound]))
            guard last + 1 < words.count else { break }
            var (next, shared) = (last + 1, 0)
            while next - 1 > first, shared + words[next - 1].tokens <= size.overlap {
                next -= 1
                shared += words[next].tokens
            }
            first = next
        }
        self.chunks = chunks
    }
}
