import Apus
import ApusConfiguration
import ApusPlacement
import ArgumentParser

/// How several devices share a model, on the command line.
struct ParallelOptions: ParsableArguments {
    @Option(help: "How devices share a model: data_parallel, pipeline, tensor, hybrid, auto or none. (default: each holds whole models)")
    var strategy: String?

    @Option(help: "Devices that share each layer.")
    var tensorParallel: Int?

    @Option(help: "Stages that layers are cut into.")
    var pipelineParallel: Int?

    @Option(help: "Times that a model is loaded.")
    var replicas: Int?

    @Option(help: "Tensors of an ONNX file behind which it is cut into stages, comma-separated.")
    var cut: String?

    func validate() throws {
        for (name, count) in [("--tensor-parallel", tensorParallel), ("--pipeline-parallel", pipelineParallel), ("--replicas", replicas)] {
            if let count, !(1...1_024).contains(count) { throw ValidationError("\(name) must be from 1 to 1024.") }
        }
        if let strategy, ParallelWishes.Strategy(rawValue: strategy) == nil {
            throw ValidationError("--strategy must be one of \(ParallelWishes.Strategy.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
    }

    /// Those that were given, as settings of the configuration.
    var options: [ConfigurationOption] {
        let given: [(String, String, String?)] = [
            ("--strategy", "parallel.strategy", strategy), ("--tensor-parallel", "parallel.tensor_parallel", tensorParallel.map(String.init)),
            ("--pipeline-parallel", "parallel.pipeline_parallel", pipelineParallel.map(String.init)),
            ("--replicas", "parallel.replicas", replicas.map(String.init)), ("--cut", "parallel.cuts", cut),
        ]
        return given.compactMap { spelling, key, value in value.map { ConfigurationOption(spelling, sets: key, to: [$0]) } }
    }

    /// For the library; nil without devices to share a model.
    func parallelism(on devices: String?) -> Parallelism? {
        devices.map { devices in
            Parallelism(
                devices: devices, strategy: strategy.flatMap { Parallelism.Strategy(rawValue: $0) } ?? .automatic, tensorParallel: tensorParallel,
                pipelineParallel: pipelineParallel, replicas: replicas,
                cuts: cut.map { $0.split(separator: ",").map(String.init) } ?? [])
        }
    }
}
