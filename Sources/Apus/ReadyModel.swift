package import ApusEmbeddings
package import ApusExecution
import ApusScheduling
package import ApusTensor

/// A model that was loaded and gave its known answer.
package struct ReadyModel: Sendable {
    package let name: String
    package let directory: String
    package let embedder: TextEmbedder
    package let weightsSHA256: String
    /// The devices that it is meant to be on.
    private let plannedDevices: [DeviceID]
    private let placed: PlacedModel<EncoderRecipe>

    init(_ placed: PlacedModel<EncoderRecipe>, _ embedder: TextEmbedder, directory: String, weightsSHA256: String, planned devices: [DeviceID]) {
        self.placed = placed
        self.embedder = embedder
        self.directory = directory
        self.weightsSHA256 = weightsSHA256
        plannedDevices = devices
        name = placed.name
    }

    /// The devices that take its work now.
    package var devices: [DeviceID] { embedder.scheduler.openDevices }

    /// What it runs as on `device`.
    package func served(on device: DeviceID) -> ServedForm { placed.served(on: device) }

    /// How it is cut on `device`; nil for whole.
    package func segmentation(on device: DeviceID) -> Segmentation? { placed.segmentation(on: device) }

    /// The segmentation on the first device that has one.
    package var segmentation: Segmentation? { devices.lazy.compactMap { segmentation(on: $0) }.first }

    /// What it runs in where it is served now, each once, in the order of the devices; of ``plannedDevices`` while nothing serves it.
    package var precisions: [Precision] {
        let open = devices
        return (open.isEmpty ? plannedDevices : open).reduce(into: []) { precisions, device in
            let precision = served(on: device).precision
            if !precisions.contains(precision) { precisions.append(precision) }
        }
    }

    /// What it runs in on the first device.
    package var precision: Precision { precisions.first ?? .fp32 }

    /// The lowest cosine to fp32 of what is served now, over the built-in sample and the latest checks.
    package var lowestCosine: Double? {
        let checks = cosines
        return (devices.compactMap { served(on: $0).cosine } + checks.values).min()
    }

    /// Lowest cosine to the plain fp32 graph over the built-in sentences, by device, as of the latest check.
    package var cosines: [DeviceID: Double] { placed.cosines }
}
