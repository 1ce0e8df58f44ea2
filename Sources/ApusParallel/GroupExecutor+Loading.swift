package import ApusErrors
package import ApusExecution
import Synchronization

extension GroupExecutor {
    /// Names the groups in which ranks of this process add up.
    private static let loads = Atomic<Int>(0)

    /// Loads each stage's layers, or each rank's share of them, on its executor, all at the same time.
    ///
    /// ``LoadRequest/stages`` says which layers are whose. Throws, besides what the members throw, `unsupported_plan` when that does not fit the
    /// group, and for files, of which nobody knows the layers. Errors name the stage, the rank and the device.
    package func load(_ request: LoadRequest) async throws(ApusError) -> any LoadedModel {
        try life.requireOpen()
        let requests = try requests(request)
        let results = await withTaskGroup(of: (Int, Int, Result<any LoadedModel, GroupFailure>).self) { group in
            for (stage, ranks) in requests.enumerated() {
                for (rank, part) in ranks.enumerated() {
                    let member = stages[stage].members[rank]
                    group.addTask {
                        do throws(ApusError) {
                            return (stage, rank, .success(try await member.load(part)))
                        } catch {
                            return (stage, rank, .failure(GroupFailure(error, device: member.device, stage: stage, rank: rank)))
                        }
                    }
                }
            }
            var results: [[Int]: Result<any LoadedModel, GroupFailure>] = [:]
            for await (stage, rank, result) in group { results[[stage, rank]] = result }
            return results
        }
        var parts: [GroupModel.Part] = []
        for (stage, ranks) in requests.enumerated() {
            var models: [any LoadedModel] = []
            for rank in ranks.indices {
                do throws(GroupFailure) {
                    if let model = try results[[stage, rank]]?.get() { models.append(model) }
                } catch {
                    life.failed(error, nil)
                    throw error.error
                }
            }
            parts.append(GroupModel.Part(stage: stages[stage], ranks: models))
        }
        return try GroupModel(parts, life)
    }

    /// What each rank of each stage is asked to load.
    private func requests(_ request: LoadRequest) throws(ApusError) -> [[LoadRequest]] {
        if stages.count == 1, stages[0].members.count == 1, request.stages.isEmpty { return [[request]] }
        guard case .checkpoint(let directory, .network(let form, nil)) = request.source else {
            throw ApusError(
                .unsupportedPlan, "only the network of a checkpoint is shared by the devices of a group", place: request.name,
                advice: "Load the model on each device by itself")
        }
        guard request.stages.count == stages.count, let count = request.stages.last?.upperBound else {
            throw ApusError(
                .unsupportedPlan, "the layers are given for \(request.stages.count) stages, the group has \(stages.count)", place: request.name)
        }
        let name = "\(device) \(Self.loads.add(1, ordering: .relaxed).newValue)"
        var (requests, next): ([[LoadRequest]], Int) = ([], 0)
        for (stage, layers) in request.stages.enumerated() {
            guard layers.lowerBound == next else {
                throw ApusError(
                    .unsupportedPlan, "stage \(stage) begins with layer \(layers.lowerBound), layer \(next) is next", place: request.name)
            }
            next = layers.upperBound
            let ranks = stages[stage].members.count
            var parts: [LoadRequest] = []
            for rank in 0..<ranks {
                let slice = try NetworkSlice(layers: layers, layerCount: count, rank: rank, ranks: ranks, group: "\(name) stage \(stage)")
                parts.append(
                    LoadRequest(
                        name: "\(request.name) (\(slice))", source: .checkpoint(directory: directory, .network(form, slice)),
                        optimization: request.optimization))
            }
            requests.append(parts)
        }
        return requests
    }
}
