import Apus
import ApusTensor

extension ReadyModel {
    /// `cpu:0, cpu:1 in bf16 (cosine to fp32 0.99998, kernels, avx512-bf16)`, with devices of other forms behind.
    var standing: String {
        var groups: [(words: String, devices: [String])] = []
        let cosines = cosines
        for device in devices {
            var words = served(on: device).words(cosine: cosines[device])
            if let segmentation = segmentation(on: device) { words += " in \(segmentation.words)" }
            if let place = groups.firstIndex(where: { $0.words == words }) {
                groups[place].devices.append(device.description)
            } else {
                groups.append((words, [device.description]))
            }
        }
        return groups.map { "\($0.devices.joined(separator: ", ")) in \($0.words)" }.joined(separator: ", ")
    }
}
