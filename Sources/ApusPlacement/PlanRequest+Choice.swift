package import ApusErrors
import ApusTensor

// The shape of a plan: the one that was asked for, or the one that is predicted to be fastest.
extension PlanRequest {
    /// The plan for devices of which those that are unhealthy do not serve: the one wished for, or what is left of it, with every step on the
    /// way down.
    ///
    /// Throws `unsupported_plan` for what is impossible on all devices, with the arithmetic and the nearest plan that works; `no_device` where
    /// unhealthy devices are missed and nothing may take their place.
    package func plan() throws(ApusError) -> Plan {
        try degraded(without: [])
    }

    /// The plan for `pool`, whatever its health. Throws `unsupported_plan`.
    func wished(on pool: [PlanDevice]) throws(ApusError) -> Plan {
        guard !pool.isEmpty else { throw refusal("there is no device to plan for") }
        if !wishes.splits.isEmpty { return try split(on: pool) }
        if let assigned = wishes.assignedDevice(of: model.name) {
            return try asked(PlanShape(), on: pool, because: "the model is assigned to \(assigned)")
        }
        let asks = wishes.tensorParallel != nil || wishes.stages != nil
        switch wishes.strategy {
        case .none:
            return try asked(PlanShape(), on: pool, because: "one device is asked for")
        case .dataParallel:
            return try dataParallel(on: pool, because: "whole models side by side are asked for")
        case .pipeline where wishes.stages == nil, .tensor where wishes.tensorParallel == nil,
            .hybrid where wishes.tensorParallel == nil || wishes.stages == nil:
            return try widest(on: pool)
        case .automatic where !asks:
            return try automatic(on: pool)
        case .pipeline, .tensor, .hybrid, .automatic:
            let group = PlanShape(tensor: wishes.tensorParallel ?? 1, pipeline: wishes.stages ?? 1)
            if group.groupSize == 1 { return try dataParallel(on: pool, because: "whole models side by side are asked for") }
            let size = group.groupSize ?? .max
            return try asked(
                PlanShape(tensor: group.tensor, pipeline: group.pipeline, replicas: wishes.replicas ?? max(1, pool.count / size)), on: pool,
                because: "it is asked for\(wishes.replicas == nil && pool.count / size > 1 ? ", once for each \(size) devices" : "")")
        }
    }

    // MARK: - Shapes that are asked for

    private func asked(_ shape: PlanShape, on pool: [PlanDevice], because reason: String) throws(ApusError) -> Plan {
        if let why = impossibility(shape, devices: pool.count) { throw refused(why, shape, on: pool) }
        guard let replicas = arrange(shape, on: pool) else { throw refused(shortage(shape, on: pool), shape, on: pool) }
        return plan(replicas, reason: reason)
    }

    /// Explicit stages, each on its own device.
    private func split(on pool: [PlanDevice]) throws(ApusError) -> Plan {
        var start = 0
        var stages: [Plan.Stage] = []
        for point in wishes.splits {
            guard let device = pool.first(where: { $0.id == point.device }) else { throw refusal("the device \(point.device) does not serve") }
            let stage = stage(start..<point.end, on: [device])
            if let rank = stage.ranks.first, rank.bytes.total > device.capacityBytes {
                let what = "layers \(start)-\(point.end - 1) take \(ByteText.of(rank.bytes.total)), embedding and activations with them, and \(point.device) may hold \(ByteText.of(device.capacityBytes))"
                throw refused("too little memory: \(what)", PlanShape(pipeline: wishes.splits.count), on: pool)
            }
            stages.append(stage)
            start = point.end
        }
        return plan([Plan.Replica(stages: stages)], reason: "the split points are given")
    }

    private func dataParallel(on pool: [PlanDevice], because reason: String) throws(ApusError) -> Plan {
        let fitting = holders(in: pool)
        let wanted = wishes.replicas ?? max(1, fitting.count)
        let plan = try asked(PlanShape(replicas: wanted), on: pool, because: reason)
        guard wishes.replicas == nil, fitting.count < pool.count else { return plan }
        let small = pool.filter { device in !fitting.contains { $0.id == device.id } }.map(\.id.description).joined(separator: ", ")
        var told = plan
        told.reason += "; \(small) cannot hold the model"
        return told
    }

    // MARK: - Shapes that are searched

    /// Whole models side by side where a device holds one, else the fastest shape.
    private func automatic(on pool: [PlanDevice]) throws(ApusError) -> Plan {
        let need = ByteText.of(wholeReplica(on: pool[0]).stages[0].ranks[0].bytes.total)
        let fitting = holders(in: pool)
        if fitting.count >= wishes.replicas ?? 1 {
            return try dataParallel(
                on: pool, because: fitting.count == 1 && pool.count == 1 ? "there is one device, and it holds the model's \(need)" : "a device holds the whole model, \(need)")
        }
        let most = pool.map(\.capacityBytes).max() ?? 0
        let (best, count) = fastest(on: pool) { _ in true }
        guard let best else {
            let shape = PlanShape(replicas: wishes.replicas ?? 1)
            throw refused(shortage(shape, on: pool), shape, on: pool)
        }
        return plan(
            best.replicas,
            reason: "the model takes \(need) and the largest device holds \(ByteText.of(most)); of \(count) shape\(count == 1 ? "" : "s") that fit \(best.shape.strategy.rawValue) is predicted to be fastest\(linkWords(best.replicas))")
    }

    /// The fastest shape of a strategy whose sizes were left open.
    private func widest(on pool: [PlanDevice]) throws(ApusError) -> Plan {
        let strategy = wishes.strategy
        func isOfStrategy(_ shape: PlanShape) -> Bool {
            guard shape.tensor == wishes.tensorParallel ?? shape.tensor, shape.pipeline == wishes.stages ?? shape.pipeline else { return false }
            return switch strategy {
            case .pipeline: shape.pipeline > 1 && shape.tensor == 1
            case .tensor: shape.tensor > 1 && shape.pipeline == 1
            default: shape.tensor > 1 && shape.pipeline > 1
            }
        }
        // With sizes left open as many devices share one model as can.
        let replicas = wishes.replicas ?? 1
        let (best, _) = fastest(on: pool, replicas: replicas, isOfStrategy)
        guard let best else {
            let least = strategy == .hybrid ? 4 : 2
            let shape = PlanShape(
                tensor: wishes.tensorParallel ?? (strategy == .pipeline ? 1 : 2), pipeline: wishes.stages ?? (strategy == .tensor ? 1 : 2),
                replicas: replicas)
            let why = impossibility(shape, devices: pool.count)
            throw refused(why.map { "\(strategy.rawValue) needs \(least) devices or more: \($0)" } ?? shortage(shape, on: pool), shape, on: pool)
        }
        return plan(best.replicas, reason: "\(strategy.rawValue) is asked for, \(best.shape) is predicted to be fastest\(linkWords(best.replicas))")
    }

    struct Candidate {
        var shape: PlanShape
        var replicas: [Plan.Replica]
        var pace: Double
    }

    /// The shape with the highest predicted pace among those of several devices that fit, and how many fit. Of shapes within a thousandth the
    /// one with fewer devices in a group.
    ///
    /// - Parameter replicas: nil for as many as there are devices for.
    func fastest(on pool: [PlanDevice], replicas: Int? = nil, _ isMeant: (PlanShape) -> Bool) -> (best: Candidate?, fitting: Int) {
        var best: Candidate?
        var fitting = 0
        for shape in shapes(pool.count, replicas: replicas ?? wishes.replicas).filter(isMeant) {
            guard let replicas = arrange(shape, on: pool) else { continue }
            fitting += 1
            let pace = pace(replicas)
            if let best, pace <= best.pace * 1.001 { continue }
            best = Candidate(shape: shape, replicas: replicas, pace: pace)
        }
        return (best, fitting)
    }

    /// Shapes of groups of two devices and more, smaller groups first.
    private func shapes(_ count: Int, replicas: Int?) -> [PlanShape] {
        var shapes: [PlanShape] = []
        for tensor in 1...max(1, count) {
            for pipeline in 1...max(1, min(model.layers.count, count / tensor)) where tensor * pipeline > 1 {
                shapes.append(PlanShape(tensor: tensor, pipeline: pipeline, replicas: replicas ?? max(1, count / (tensor * pipeline))))
            }
        }
        return shapes.filter { impossibility($0, devices: count) == nil }
            .sorted { left, right in
                let (l, r) = (left.tensor * left.pipeline, right.tensor * right.pipeline)
                return l != r ? l < r : left.tensor < right.tensor
            }
    }

    /// Predicted work a second: what the slowest stage of each replica does, less what its links and its filling and draining cost.
    func pace(_ replicas: [Plan.Replica]) -> Double {
        replicas.reduce(0) { sum, replica in
            let slowest = replica.stages.flatMap { $0.ranks.map(\.load) }.max() ?? 0
            guard slowest > 0 else { return sum }
            let links = replica.stages.compactMap { topology.weakest(among: $0.ranks.map(\.device)) }
            let stages = replica.stages.count
            let utilization = Double(microBatches) / Double(microBatches + stages - 1)
            return sum + (links.min()?.tensorEfficiency ?? 1) * utilization / slowest
        }
    }

    private func linkWords(_ replicas: [Plan.Replica]) -> String {
        let links = replicas.flatMap(\.stages).compactMap { topology.weakest(among: $0.ranks.map(\.device)) }
        return links.min().map { "; ranks are linked by \($0.words)" } ?? ""
    }

    // MARK: - The nearest that works

    private func refused(_ why: String, _ shape: PlanShape, on pool: [PlanDevice]) -> ApusError {
        guard let nearest = nearest(to: shape, on: pool) else {
            return refusal(why, advice: "No plan works on \(pool.map(\.id.description).joined(separator: ", "))")
        }
        return refusal(why, advice: "The nearest plan that works is \(nearest.shape): \(nearest)")
    }

    /// The plan whose shape differs least, of several the one that uses more devices.
    private func nearest(to shape: PlanShape, on pool: [PlanDevice]) -> Plan? {
        var shapes = shapes(pool.count, replicas: nil).flatMap { group in
            (1...max(1, group.replicas)).map { PlanShape(tensor: group.tensor, pipeline: group.pipeline, replicas: $0) }
        }
        shapes += (1...max(1, pool.count)).map { PlanShape(replicas: $0) }
        let nearestFirst = shapes.sorted { left, right in
            let (l, r) = (left.distance(to: shape), right.distance(to: shape))
            if l != r { return l < r }
            return (left.deviceCount ?? 0, left.tensor) > (right.deviceCount ?? 0, right.tensor)
        }
        for shape in nearestFirst {
            if let replicas = arrange(shape, on: pool) { return plan(replicas, reason: "it is the nearest that works") }
        }
        return nil
    }
}
