import ApusTensor

extension Plan: CustomStringConvertible {
    /// `[[0,1],[2,3]]`: the stages of a replica, each a list of devices; several replicas are a list of these. Devices are their numbers where
    /// all are of one kind, else `cpu:0`.
    package var description: String {
        let kinds = Set(devices.map(\.kind))
        func text(_ device: DeviceID) -> String { kinds.count == 1 ? "\(device.index)" : "\(device)" }
        func list(_ items: [String]) -> String { "[\(items.joined(separator: ","))]" }
        let texts = replicas.map { replica in list(replica.stages.map { stage in list(stage.ranks.map { text($0.device) }) }) }
        return texts.count == 1 ? texts[0] : list(texts)
    }
}
