package import ApusTensor

/// One text's vector and what an answer tells about it.
///
/// The vector is whole: shorter ones (Matryoshka representation learning, Kusupati et al., 2022) are cut from it by those who answer, so that
/// one entry serves every length.
package struct CachedEmbedding: Sendable, Equatable {
    package let vector: [Float]
    /// Tokens that were run.
    package let tokens: Int
    /// Tokens before truncation.
    package let originalTokens: Int
    /// The device that computed it, of this or of another server.
    package let device: DeviceID

    /// Copies the vector: a slice would keep the batch alive that it was computed in.
    package init(vector: some Collection<Float>, tokens: Int, originalTokens: Int, device: DeviceID) {
        self.vector = Array(vector)
        self.tokens = tokens
        self.originalTokens = originalTokens
        self.device = device
    }

    /// Bytes that an entry takes: the vector, its array's header, and what the index and the list keep for it.
    package var cost: Int { vector.count * MemoryLayout<Float>.stride + Self.overhead }

    package static let overhead = 176
}
