package import ApusErrors
package import ApusTensor

/// The end of an explicit stage: the layers from the last point, or from the first layer, up to ``end`` run on ``device``.
package struct SplitPoint: Sendable, Hashable, CustomStringConvertible {
    /// The number of the first layer that the stage does not hold, counted from 0; the last stage's is the number of layers.
    package var end: Int
    package var device: DeviceID

    package init(end: Int, device: DeviceID) {
        self.end = end
        self.device = device
    }

    /// Reads `3:cpu:0`. Throws `invalid_value` with `place`.
    package init(_ text: String, place: String) throws(ApusError) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let end = Int(parts[0]),
            let device = DeviceID(parts[1])
        else {
            throw ApusError(
                .invalidValue, "\(text.debugDescription) is no split point", place: place,
                advice: "Write LAYER:DEVICE, where LAYER is the first layer that the device does not hold: 3:cpu:0,6:cpu:1 parts six layers in the middle")
        }
        self.init(end: end, device: device)
    }

    /// Reads `3:cpu:0,6:cpu:1`.
    package static func list(_ text: String, place: String) throws(ApusError) -> [SplitPoint] {
        var points: [SplitPoint] = []
        for item in text.split(separator: ",", omittingEmptySubsequences: false) {
            let item = item.drop { $0 == " " }
            points.append(try SplitPoint(String(item), place: place))
        }
        return points
    }

    package var description: String { "\(end):\(device)" }
}
