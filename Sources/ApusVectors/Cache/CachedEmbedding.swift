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
    /// The device that computed it, of this or of another server; of a group the first.
    package let device: DeviceID
    /// All devices that computed it together, stage by stage; empty for one. Entries of one group share the list.
    package let group: [DeviceID]

    /// Copies the vector: a slice would keep the batch alive that it was computed in.
    package init(vector: some Collection<Float>, tokens: Int, originalTokens: Int, device: DeviceID, group: [DeviceID] = []) {
        self.vector = Array(vector)
        self.tokens = tokens
        self.originalTokens = originalTokens
        self.device = device
        self.group = group
    }

    /// Those that computed it.
    package var devices: [DeviceID] { group.isEmpty ? [device] : group }

    /// Bytes that an entry takes: the vector, its array's header, and what the index and the list keep for it.
    package var cost: Int { vector.count * MemoryLayout<Float>.stride + Self.overhead }

    package static let overhead = 184
}
