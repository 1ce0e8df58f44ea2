package import ApusErrors

/// One text's vector, whole, and what an answer tells about it.
package struct CachedEmbedding: Sendable, Equatable {
    package let vector: [Float]
    /// Tokens that were run.
    package let tokens: Int
    /// Tokens before truncation.
    package let originalTokens: Int

    /// Copies the vector: a slice would keep the batch alive that it was computed in.
    package init(vector: some Collection<Float>, tokens: Int, originalTokens: Int) {
        self.vector = Array(vector)
        self.tokens = tokens
        self.originalTokens = originalTokens
    }

    /// The vector cut to its first `dimensions` elements and brought back to length 1 (Matryoshka representation learning, Kusupati et
    /// al., 2022), by the arithmetic by which answers are cut; all of it, as it is, for its own length. Throws `invalid_value` outside
    /// 1...the vector's length.
    package func vector(dimensions: Int) throws(ApusError) -> [Float] {
        guard (1...max(1, vector.count)).contains(dimensions) else {
            throw ApusError(
                .invalidValue, "\(dimensions) is outside 1 to \(vector.count), the length of this model's vectors", place: "dimensions")
        }
        guard dimensions < vector.count else { return vector }
        let head = vector[..<dimensions]
        let squares = head.reduce(0.0) { $0 + Double($1) * Double($1) }
        let scale = squares > 0 ? Float(1 / squares.squareRoot()) : 1
        return head.map { $0 * scale }
    }

    /// Bytes that an entry takes: the vector, its array's header, and what the index and the list keep for it.
    package var cost: Int { vector.count * MemoryLayout<Float>.stride + Self.overhead }

    package static let overhead = 176
}
