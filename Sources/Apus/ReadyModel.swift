package import ApusEmbeddings
package import ApusTensor

/// A model that was loaded and gave its known answer.
package struct ReadyModel: Sendable {
    package let name: String
    package let directory: String
    package let embedder: TextEmbedder
    /// What it really runs in.
    package let precision: Precision
    package let device: DeviceID
    package let weightsSHA256: String
    /// Lowest cosine to the plain fp32 graph over the built-in sentences.
    package let cosineToKnownAnswer: Double
}
