import ApusTensor

/// What one device of a group holds of a model.
struct GroupShare: Sendable, Equatable {
    let device: DeviceID
    /// Of the bytes of all weights, 0 to 1.
    var weights = 1.0
    /// Of the layers, by their number, whether whole or in shards, 0 to 1.
    var layers = 1.0
    /// Its place among the ``ranks`` devices that share each of its layers.
    var rank = 0
    var ranks = 1
}
