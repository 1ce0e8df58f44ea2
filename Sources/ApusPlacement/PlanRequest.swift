package import ApusErrors
import ApusTensor

/// All that a plan follows from. Pure arithmetic: the same request gives the same plan on every machine.
package struct PlanRequest: Sendable, Equatable {
    package let model: NetworkOutline
    /// Those of the machine, in the order in which they are used unless wishes say otherwise.
    package let devices: [PlanDevice]
    package let topology: DeviceTopology
    package let wishes: ParallelWishes
    /// Tokens of a step, which activations are reckoned for.
    package let tokens: Int
    /// Batches in flight in a pipeline.
    package let microBatches: Int

    /// - Parameters:
    ///   - tokens: of one step; less than 0 counts as 0.
    ///   - microBatches: less than 1 counts as 1.
    /// - Throws: `unsupported_plan` for wishes that contradict each other or name devices that are not there, and for devices named twice.
    package init(
        _ model: NetworkOutline, on devices: [PlanDevice], topology: DeviceTopology = DeviceTopology(), wishes: ParallelWishes = ParallelWishes(),
        tokens: Int = 0, microBatches: Int = 8
    ) throws(ApusError) {
        self.model = model
        self.devices = devices
        self.topology = topology
        self.wishes = wishes
        self.tokens = max(0, tokens)
        self.microBatches = min(max(1, microBatches), 1 << 20)
        try checkDevices()
        try checkWishes()
    }

    /// Those that may be used, the first choice first.
    var candidates: [PlanDevice] {
        if let assigned = wishes.assignedDevice(of: model.name) { return devices.filter { $0.id == assigned } }
        if !wishes.splits.isEmpty { return wishes.splits.compactMap { point in devices.first { $0.id == point.device } } }
        if !wishes.deviceIDs.isEmpty { return wishes.deviceIDs.compactMap { id in devices.first { $0.id == id } } }
        let preferred = wishes.preferredDevices.compactMap { id in devices.first { $0.id == id } }
        return preferred + devices.filter { device in !wishes.preferredDevices.contains(device.id) }
    }

    func device(_ id: DeviceID) -> PlanDevice? { devices.first { $0.id == id } }

    func plan(_ replicas: [Plan.Replica], reason: String, steps: [Plan.Step] = []) -> Plan {
        Plan(
            model: model.name, layerCount: model.layers.count, replicas: sharing(replicas), tokens: tokens, microBatches: microBatches,
            reason: reason, steps: steps)
    }

    /// The replicas with their loads as they are when each takes work at the pace of its slowest stage.
    private func sharing(_ replicas: [Plan.Replica]) -> [Plan.Replica] {
        let paces = replicas.map { replica in
            let slowest = replica.stages.flatMap { $0.ranks.map(\.load) }.max() ?? 0
            return slowest > 0 ? 1 / slowest : 0
        }
        let sum = paces.reduce(0, +)
        guard replicas.count > 1, sum > 0 else { return replicas }
        return zip(replicas, paces).map { replica, pace in
            var replica = replica
            for stage in replica.stages.indices {
                for rank in replica.stages[stage].ranks.indices { replica.stages[stage].ranks[rank].load *= pace / sum }
            }
            return replica
        }
    }
}
