package import ApusTensor

extension Plan {
    package var devices: [DeviceID] { replicas.flatMap(\.devices) }

    private var ranks: [Rank] { replicas.flatMap { $0.stages.flatMap(\.ranks) } }

    /// The most ranks of a stage, stages of a replica, and the replicas. Replicas that were reduced may be of smaller shapes.
    package var shape: PlanShape {
        let stages = replicas.flatMap(\.stages)
        return PlanShape(
            tensor: stages.map(\.ranks.count).max() ?? 1, pipeline: replicas.map(\.stages.count).max() ?? 1, replicas: replicas.count)
    }

    package var strategy: ParallelWishes.Strategy { shape.strategy }

    /// The largest load of a device over the mean; 1 when all have the same.
    package var balance: Double {
        let loads = ranks.map(\.load)
        let sum = loads.reduce(0, +)
        guard let most = loads.max(), sum > 0 else { return 1 }
        return most * Double(loads.count) / sum
    }

    /// The share of their time that the stages of a replica can compute, m / (m + s - 1) for m batches in flight on s stages (GPipe, Huang et
    /// al. 2019, section 2.3); of replicas of several lengths the lowest. 1 without a pipeline.
    package var utilization: Double {
        let stages = shape.pipeline
        return Double(microBatches) / Double(microBatches + stages - 1)
    }

    /// Bytes of the part that a device holds; nil for devices without one.
    package func bytes(on device: DeviceID) -> Bytes? {
        ranks.first { $0.device == device }?.bytes
    }
}
