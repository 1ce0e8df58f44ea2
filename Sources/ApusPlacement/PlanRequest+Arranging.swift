import ApusErrors
import ApusTensor

// Which devices make up which group, and which layers each takes.
extension PlanRequest {
    var activationBytes: Int { model.activationBytes(tokens: tokens) }

    /// Replicas of a shape on devices of `pool`; nil where the shape is impossible or does not fit.
    func arrange(_ shape: PlanShape, on pool: [PlanDevice]) -> [Plan.Replica]? {
        guard impossibility(shape, devices: pool.count) == nil else { return nil }
        if shape.groupSize == 1 {
            let fitting = pool.lazy.compactMap { replica(shape, on: [[$0]]) }.prefix(shape.replicas)
            return fitting.count == shape.replicas ? Array(fitting) : nil
        }
        for groups in [groupsByLinks(shape, pool), groupsByCapacity(shape, pool)] {
            let replicas = groups.compactMap { replica(shape, on: $0) }
            if replicas.count == shape.replicas { return replicas }
        }
        return nil
    }

    /// A whole model on `groups`, each of which computes one stage; nil where it does not fit. Stages may take the groups in another order.
    func replica(_ shape: PlanShape, on groups: [[PlanDevice]]) -> Plan.Replica? {
        let places = groups.map { group in
            LayerPartition.Place(
                speed: group.map(\.plannedSpeed).min() ?? 1, capacity: (group.map(\.capacityBytes).min() ?? 0) - activationBytes)
        }
        guard places.allSatisfy({ $0.capacity >= 0 }) else { return nil }
        guard let cuts = LayerPartition(items(shape.tensor) { time, _ in time }, places: places).cuts() else { return nil }
        return Plan.Replica(stages: cuts.map { stage($0.layers, on: groups[$0.place]) })
    }

    /// A whole model on a device whatever it may hold.
    func wholeReplica(on device: PlanDevice) -> Plan.Replica {
        Plan.Replica(stages: [stage(0..<model.layers.count, on: [device])])
    }

    /// The devices of `pool` that hold the whole model.
    func holders(in pool: [PlanDevice]) -> [PlanDevice] {
        pool.filter { replica(PlanShape(), on: [[$0]]) != nil }
    }

    func stage(_ layers: Range<Int>, on group: [PlanDevice]) -> Plan.Stage {
        let items = items(group.count) { time, _ in time }
        let bytes = Plan.Bytes(
            layers: model.layers[layers].reduce(0) { $0.addingClamped($1.bytes(ofOneIn: group.count)) },
            embedding: layers.lowerBound == 0 ? model.embedding.bytes : 0,
            head: layers.upperBound == model.layers.count ? model.head.bytes : 0,
            activations: activationBytes)
        let time = items[layers].reduce(0) { $0 + $1.time }
        return Plan.Stage(layers: layers, ranks: group.map { Plan.Rank(device: $0.id, bytes: bytes, load: time / $0.plannedSpeed) })
    }

    /// What one of `ranks` ranks has of each layer, what stands before the first and behind the last with them.
    private func items(_ ranks: Int, time: (Double, Int) -> Double) -> [LayerPartition.Item] {
        model.layers.enumerated().map { number, layer in
            var (cost, bytes) = (layer.cost / Double(ranks), layer.bytes(ofOneIn: ranks))
            if number == 0 {
                cost += model.embedding.cost
                bytes = bytes.addingClamped(model.embedding.bytes)
            }
            if number == model.layers.count - 1 {
                cost += model.head.cost
                bytes = bytes.addingClamped(model.head.bytes)
            }
            return LayerPartition.Item(time: time(cost, bytes), bytes: bytes)
        }
    }

    // MARK: - Groups

    /// Replicas of stages of ranks. Starting from the first device that is left, ranks are those with the fastest links to all ranks before
    /// them, and among equal links of the most alike speed; the next stage starts at the device with the fastest link to the last.
    func groupsByLinks(_ shape: PlanShape, _ pool: [PlanDevice]) -> [[[PlanDevice]]] {
        var left = pool
        return (0..<shape.replicas).map { _ in
            var stages: [[PlanDevice]] = []
            for _ in 0..<shape.pipeline {
                var group: [PlanDevice] = []
                for _ in 0..<shape.tensor {
                    let others = group.isEmpty ? stages.last ?? [] : group
                    guard let place = nearest(to: others, in: left) else { break }
                    group.append(left.remove(at: place))
                }
                stages.append(group)
            }
            return stages
        }
    }

    private func nearest(to others: [PlanDevice], in left: [PlanDevice]) -> Int? {
        guard let first = others.first else { return left.isEmpty ? nil : 0 }
        func link(_ device: PlanDevice) -> DeviceTopology.Link {
            others.map { topology[$0.id, device.id] }.min() ?? .host
        }
        func difference(_ device: PlanDevice) -> Double { abs(device.plannedSpeed - first.plannedSpeed) }
        return left.indices.min { l, r in
            let (left, right) = (left[l], left[r])
            if link(left) != link(right) { return link(left) > link(right) }
            if difference(left) != difference(right) { return difference(left) < difference(right) }
            return l < r
        }
    }

    /// The largest devices dealt out to the replicas in turn, so that each has its part of the memory.
    private func groupsByCapacity(_ shape: PlanShape, _ pool: [PlanDevice]) -> [[[PlanDevice]]] {
        guard let count = shape.deviceCount else { return [] }
        let largest = pool.enumerated().sorted { left, right in
            let (l, r) = (left.element.capacityBytes, right.element.capacityBytes)
            return l != r ? l > r : left.offset < right.offset
        }.prefix(count).map(\.element)
        return (0..<shape.replicas).map { replica in
            let own = stride(from: replica, to: largest.count, by: shape.replicas).map { largest[$0] }
            return stride(from: 0, to: own.count, by: shape.tensor).map { Array(own[$0..<min($0 + shape.tensor, own.count)]) }
        }
    }

    // MARK: - What does not fit

    /// Which device has too little memory for a shape that is cut as its memory allows best, with the arithmetic.
    func shortage(_ shape: PlanShape, on pool: [PlanDevice]) -> String {
        let replicas = groupsByLinks(shape, pool).compactMap { groups -> Plan.Replica? in
            let places = groups.map { group in
                LayerPartition.Place(speed: Double(max(1, (group.map(\.capacityBytes).min() ?? 0) - activationBytes)), capacity: .max)
            }
            let cuts = LayerPartition(items(shape.tensor) { _, bytes in Double(bytes) }, places: places).cuts()
            return cuts.map { Plan.Replica(stages: $0.map { stage($0.layers, on: groups[$0.place]) }) }
        }
        var worst: (excess: Int, stage: Plan.Stage, rank: Plan.Rank, capacity: Int)?
        for stage in replicas.flatMap(\.stages) {
            for rank in stage.ranks {
                let capacity = device(rank.device)?.capacityBytes ?? 0
                let excess = rank.bytes.total - capacity
                if excess > worst?.excess ?? 0 { worst = (excess, stage, rank, capacity) }
            }
        }
        guard let worst else { return "too little memory: the model has \(ByteText.of(model.weightBytes)) of weights" }
        let (bytes, layers) = (worst.rank.bytes, worst.stage.layers)
        var parts = ["layers \(layers.lowerBound)-\(layers.upperBound - 1) \(ByteText.of(bytes.layers))"]
        if bytes.embedding > 0 { parts.append("embedding \(ByteText.of(bytes.embedding))") }
        if bytes.head > 0 { parts.append("head \(ByteText.of(bytes.head))") }
        if bytes.activations > 0 { parts.append("activations of \(tokens) tokens \(ByteText.of(bytes.activations))") }
        return "too little memory: \(parts.joined(separator: " + ")) = \(ByteText.of(bytes.total)), and \(worst.rank.device) may hold \(ByteText.of(worst.capacity))"
    }
}
