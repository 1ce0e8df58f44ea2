/// How many devices a plan divides a model by.
package struct PlanShape: Sendable, Hashable, CustomStringConvertible {
    /// Ranks of each stage.
    package var tensor: Int
    /// Stages of each replica.
    package var pipeline: Int
    package var replicas: Int

    package init(tensor: Int = 1, pipeline: Int = 1, replicas: Int = 1) {
        self.tensor = tensor
        self.pipeline = pipeline
        self.replicas = replicas
    }

    /// Devices of one replica; nil for more than can be counted.
    var groupSize: Int? {
        let (size, overflow) = tensor.multipliedReportingOverflow(by: pipeline)
        return overflow ? nil : size
    }

    /// Devices of all replicas; nil for more than can be counted.
    var deviceCount: Int? {
        guard let groupSize else { return nil }
        let (count, overflow) = groupSize.multipliedReportingOverflow(by: replicas)
        return overflow ? nil : count
    }

    /// How far two shapes are apart. In floating point, which takes numbers of any size.
    func distance(to other: PlanShape) -> Double {
        abs(Double(tensor) - Double(other.tensor)) + abs(Double(pipeline) - Double(other.pipeline))
            + abs(Double(replicas) - Double(other.replicas))
    }

    /// What is parallel about it, in a word.
    var strategy: ParallelWishes.Strategy {
        switch (tensor > 1, pipeline > 1, replicas > 1) {
        case (true, true, _): .hybrid
        case (true, false, _): .tensor
        case (false, true, _): .pipeline
        case (false, false, true): .dataParallel
        case (false, false, false): .none
        }
    }

    package var description: String { "tensor_parallel \(tensor), pipeline_parallel \(pipeline), replicas \(replicas)" }
}
