package import ApusErrors

extension NetworkOutline {
    /// The same with costs as they were measured.
    ///
    /// A layer cannot be measured apart from what stands before the first and behind the last. Where all layers are alike, as those of an encoder are, what
    /// the first and the last take more than one in the middle is that.
    ///
    /// - Parameters:
    ///   - seconds: a token, of each layer, of the first with what stands before it and of the last with what follows. Throws `invalid_value` for
    ///     another number of them than there are layers, and for none at all.
    ///   - areAlike: whether all layers are the same computation.
    package func measured(_ seconds: [Double], areAlike: Bool) throws(ApusError) -> NetworkOutline {
        guard seconds.count == layers.count, seconds.allSatisfy({ $0 > 0 && $0.isFinite }) else {
            throw ApusError(.invalidValue, "\(seconds.count) measurements do not fit \(layers.count) layers", place: name)
        }
        var (costs, embeddingCost, headCost) = (seconds, 0.0, 0.0)
        if areAlike, seconds.count > 2 {
            let middle = seconds[1..<(seconds.count - 1)].sorted()
            let typical = middle[middle.count / 2]
            costs[0] = min(seconds[0], typical)
            costs[seconds.count - 1] = min(seconds[seconds.count - 1], typical)
            embeddingCost = seconds[0] - costs[0]
            headCost = seconds[seconds.count - 1] - costs[seconds.count - 1]
        }
        return try NetworkOutline(
            name: name,
            layers: zip(layers, costs).map { layer, cost in
                Layer(shardedBytes: layer.shardedBytes, replicatedBytes: layer.replicatedBytes, cost: cost)
            },
            embedding: Part(bytes: embedding.bytes, cost: embeddingCost), head: Part(bytes: head.bytes, cost: headCost), widths: widths,
            activationBytesPerToken: activationBytesPerToken, costUnit: .secondsPerToken, cutTensors: cutTensors)
    }
}

extension Plan {
    /// The largest load of a device over the mean were the costs of the model those of `outline`, and the plan the same; nil for another number of layers.
    package func balance(under outline: NetworkOutline, speed: (Plan.Rank) -> Double) -> Double? {
        guard outline.layers.count == layerCount else { return nil }
        var loads: [Double] = []
        for replica in replicas {
            for stage in replica.stages {
                var cost = outline.layers[stage.layers].reduce(0) { $0 + $1.cost } / Double(max(1, stage.ranks.count))
                if stage.layers.lowerBound == 0 { cost += outline.embedding.cost }
                if stage.layers.upperBound == layerCount { cost += outline.head.cost }
                for rank in stage.ranks { loads.append(cost / max(speed(rank), .leastNormalMagnitude)) }
            }
        }
        let sum = loads.reduce(0, +)
        return sum > 0 ? (loads.max() ?? 0) * Double(loads.count) / sum : nil
    }
}
