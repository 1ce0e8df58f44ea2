package import ApusErrors
package import ApusExecution
import Synchronization

extension GroupExecutor {
    /// Names the groups in which ranks of this process add up.
    private static let loads = Atomic<Int>(0)

    /// Loads each stage's layers, or each rank's share of them, on its executor, all at the same time.
    ///
    /// ``LoadRequest/stages`` says which layers are whose, and of a file, which nodes. What only follows the network, its pooling, comes onto the
    /// last device. Throws, besides what the members throw, `unsupported_plan` when that does not fit the group, and for files whose nodes several ranks
    /// are to share. Errors name the stage, the rank and the device.
    package func load(_ request: LoadRequest) async throws(ApusError) -> any LoadedModel {
        try life.requireOpen()
        switch request.source {
        case .file(let path, nil) where stages.count > 1 || stages[0].members.count > 1: return try await loadFile(request, path)
        case .checkpoint(_, .pooling) where request.stages.isEmpty: return try await loadLast(request)
        default: break
        }
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

    /// Loads the parts of a file one after the other: what one hands on, and in which types, is known when the engine has it.
    private func loadFile(_ request: LoadRequest, _ path: String) async throws(ApusError) -> any LoadedModel {
        try requireFit(request)
        if let stage = stages.first(where: { $0.members.count > 1 }) {
            throw ApusError(
                .unsupportedPlan, "an ONNX file is cut behind nodes, its layers are not shared by the \(stage.members.count) ranks of stage \(stage.index)",
                place: request.name, advice: "Take pipeline_parallel in place of tensor_parallel")
        }
        let count = request.stages.last?.upperBound ?? 0
        var (parts, handedOn): ([GroupModel.Part], [ValueDescription]) = ([], [])
        for (stage, nodes) in zip(stages, request.stages) {
            let slice = try FileSlice(nodes: nodes, nodeCount: count, handedOn: handedOn)
            let part = LoadRequest(name: "\(request.name) (\(slice))", source: .file(path, slice), optimization: request.optimization)
            let model = try await load(part, on: stage)
            parts.append(GroupModel.Part(stage: stage, ranks: [model]))
            handedOn += model.outputs
        }
        return try GroupModel(parts, life)
    }

    private func loadLast(_ request: LoadRequest) async throws(ApusError) -> any LoadedModel {
        guard let stage = stages.last else { throw ApusError(.unsupportedPlan, "a group has no stage", place: request.name) }
        return try GroupModel([GroupModel.Part(stage: stage, ranks: [try await load(request, on: stage)])], life)
    }

    /// On the first rank of a stage.
    private func load(_ request: LoadRequest, on stage: GroupStage) async throws(ApusError) -> any LoadedModel {
        let member = stage.members[0]
        do throws(ApusError) {
            return try await member.load(request)
        } catch {
            let failure = GroupFailure(error, device: member.device, stage: stage.index, rank: 0)
            life.failed(failure, nil)
            throw failure.error
        }
    }

    /// Throws `unsupported_plan` unless there is a range for each stage, each beginning where the last has ended.
    private func requireFit(_ request: LoadRequest) throws(ApusError) {
        guard request.stages.count == stages.count else {
            throw ApusError(
                .unsupportedPlan, "the layers are given for \(request.stages.count) stages, the group has \(stages.count)", place: request.name)
        }
        var next = 0
        for (stage, layers) in request.stages.enumerated() {
            guard layers.lowerBound == next else {
                throw ApusError(
                    .unsupportedPlan, "stage \(stage) begins with layer \(layers.lowerBound), layer \(next) is next", place: request.name)
            }
            next = layers.upperBound
        }
    }

    /// What each rank of each stage is asked to load.
    private func requests(_ request: LoadRequest) throws(ApusError) -> [[LoadRequest]] {
        if stages.count == 1, stages[0].members.count == 1, request.stages.isEmpty { return [[request]] }
        guard case .checkpoint(let directory, .network(let form, nil)) = request.source else {
            throw ApusError(
                .unsupportedPlan, "only the network of a checkpoint is shared by the devices of a group", place: request.name,
                advice: "Load the model on each device by itself")
        }
        try requireFit(request)
        let count = request.stages.last?.upperBound ?? 0
        let name = "\(device) \(Self.loads.add(1, ordering: .relaxed).newValue)"
        var requests: [[LoadRequest]] = []
        for (stage, layers) in request.stages.enumerated() {
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
