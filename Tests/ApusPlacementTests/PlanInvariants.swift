import ApusPlacement
import ApusTensor
import Testing

extension Plan {
    /// What is true of every plan, whatever was asked: all that ``PlanRequest`` promises, worked out anew from the model.
    func violations(of request: PlanRequest, memory: Memory = .isHeeded) -> [String] {
        var found: [String] = []
        let model = request.model
        if replicas.isEmpty { found.append("no replica") }
        if Set(devices).count != devices.count { found.append("a device twice in \(self)") }
        for replica in replicas {
            if replica.stages.flatMap({ Array($0.layers) }) != Array(0..<model.layers.count) { found.append("layers of \(self)") }
            for stage in replica.stages {
                let ranks = stage.ranks.count
                if stage.layers.isEmpty { found.append("a stage without layers in \(self)") }
                if ranks > 1 {
                    for width in [model.widths.heads, model.widths.keyValueHeads ?? model.widths.heads, model.widths.feedForward] {
                        if (width ?? 1) % ranks != 0 { found.append("\(ranks) ranks of \(width ?? 1)") }
                    }
                }
                let layers = model.layers[stage.layers]
                let sharded = layers.reduce(0) { $0 + $1.shardedBytes }, replicated = layers.reduce(0) { $0 + $1.replicatedBytes }
                for rank in stage.ranks {
                    let excess = rank.bytes.layers * ranks - sharded - replicated * ranks
                    if excess < 0 || excess >= layers.count * ranks { found.append("bytes of \(rank)") }
                    if rank.bytes.embedding != (stage.layers.lowerBound == 0 ? model.embedding.bytes : 0) { found.append("embedding of \(rank)") }
                    if rank.bytes.head != (stage.layers.upperBound == model.layers.count ? model.head.bytes : 0) { found.append("head of \(rank)") }
                    if rank.bytes.activations != model.activationBytesPerToken * request.tokens { found.append("activations of \(rank)") }
                    let capacity = request.devices.first { $0.id == rank.device }?.capacityBytes
                    if memory == .isHeeded, rank.bytes.total > capacity ?? 0 { found.append("\(rank.bytes.total) bytes on \(rank.device)") }
                }
            }
        }
        return found
    }

    enum Memory {
        case isHeeded
        /// The CPU stands in for all devices, whatever it holds.
        case isIgnored
    }
}
