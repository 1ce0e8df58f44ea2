package import ApusEmbeddings
import ApusScheduling
package import ApusTensor

/// A model that was loaded and gave its known answer.
package struct ReadyModel: Sendable {
    package let name: String
    package let directory: String
    package let embedder: TextEmbedder
    /// What it really runs in.
    package let precision: Precision
    package let weightsSHA256: String
    private let placed: PlacedModel<EncoderRecipe>

    init(_ placed: PlacedModel<EncoderRecipe>, _ embedder: TextEmbedder, directory: String, precision: Precision, weightsSHA256: String) {
        self.placed = placed
        self.embedder = embedder
        self.directory = directory
        self.precision = precision
        self.weightsSHA256 = weightsSHA256
        name = placed.name
    }

    /// The devices that take its work now.
    package var devices: [DeviceID] { embedder.scheduler.openDevices }

    /// Lowest cosine to the plain fp32 graph over the built-in sentences, by device, as of the latest check.
    package var cosines: [DeviceID: Double] { placed.cosines }
}
