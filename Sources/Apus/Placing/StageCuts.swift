import ApusErrors
import ApusExecution
import ApusFleet
import ApusPlacement
import ApusTensor

/// Where the layers of one model are cut for the groups of devices that it comes onto.
struct StageCuts: Sendable {
    /// Of the model, on all devices of the plan.
    private let request: PlanRequest
    /// The nodes of each layer, of a network that came as a file.
    private let nodes: [Range<Int>]

    /// - Parameter nodes: of each of the model's layers, where it came as a file.
    init(_ model: NetworkOutline, nodes: [Range<Int>] = [], like plan: ParallelPlan) throws(ApusError) {
        self.nodes = nodes
        let known = plan.request
        request = try PlanRequest(
            model, on: known.devices, topology: known.topology, wishes: ParallelWishes(), tokens: known.tokens, microBatches: known.microBatches)
    }

    /// What each stage of a group is asked to load: layers, and of a file nodes. Throws what ``replica(for:)`` throws.
    func stages(for shape: GroupShape) throws(ApusError) -> [Range<Int>] {
        let layers = try replica(for: shape).stages.map(\.layers)
        guard !nodes.isEmpty else { return layers }
        return layers.map { nodes[$0.lowerBound].lowerBound..<nodes[$0.upperBound - 1].upperBound }
    }

    /// What each device of a group holds. Throws what ``replica(for:)`` throws.
    func shares(in shape: GroupShape) throws(ApusError) -> [GroupShare] {
        let count = Double(max(1, request.model.layers.count))
        return try replica(for: shape).stages.flatMap { stage in
            stage.ranks.enumerated().map { number, rank in
                GroupShare(
                    device: rank.device, weights: share(of: rank.bytes), layers: Double(stage.layers.count) / count, rank: number,
                    ranks: stage.ranks.count)
            }
        }
    }

    /// The model on the devices of a group. Throws `unsupported_plan` with the arithmetic where it cannot be divided so.
    func replica(for shape: GroupShape) throws(ApusError) -> Plan.Replica {
        let stages = shape.devices
        let order = stages.flatMap(\.self)
        let devices = order.compactMap { id in request.devices.first { $0.id == id } }
        let replica = try plan(stages, devices)
        guard replica.stages.map({ $0.ranks.map(\.device) }) != stages else { return replica }
        // Devices that differ may be better off in another order; in the order of the group, layers are dealt out as if they were alike.
        let equal = try plan(stages, order.map { PlanDevice($0) })
        guard equal.stages.map({ $0.ranks.map(\.device) }) == stages else {
            throw ApusError(.unsupportedPlan, "the layers cannot be cut for \(shape)", place: request.model.name)
        }
        return equal
    }

    private func plan(_ stages: [[DeviceID]], _ devices: [PlanDevice]) throws(ApusError) -> Plan.Replica {
        var wishes = ParallelWishes()
        wishes.tensorParallel = stages.map(\.count).max()
        wishes.pipelineParallel = stages.count
        wishes.replicas = 1
        let plan = try PlanRequest(
            request.model, on: devices, topology: request.topology, wishes: wishes, tokens: request.tokens, microBatches: request.microBatches
        ).plan()
        guard plan.steps.isEmpty, let replica = plan.replicas.first else {
            throw ApusError(.unsupportedPlan, "the devices of the group are not fit for it", place: request.model.name)
        }
        return replica
    }

    private func share(of bytes: Plan.Bytes) -> Double {
        let all = request.model.weightBytes
        return all > 0 ? min(1, Double(bytes.total - bytes.activations) / Double(all)) : 1
    }
}
