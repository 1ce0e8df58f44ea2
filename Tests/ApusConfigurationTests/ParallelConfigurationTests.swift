import ApusConfiguration
import ApusErrors
import ApusPlacement
import ApusTensor
import Testing

struct ParallelConfigurationTests {
    private static func problem(_ text: String, name: String = "apus.yaml") throws -> String {
        do throws(ApusError) {
            _ = try Configuration.load(text: text, name: name)
            Issue.record("\(text) was read")
            return ""
        } catch {
            #expect(error.code == .invalidConfiguration)
            return error.message
        }
    }

    @Test func `every key of the section reaches the wishes`() throws {
        let yaml = """
            parallel:
              strategy: hybrid
              tensor_parallel: 2
              pipeline_parallel: 3
              replicas: 2
              min_replicas: 1
              max_replicas: 4
              device_ids: [cuda:1, cuda:0]
              preferred_devices: [cuda:0]
            """
        let toml = """
            [parallel]
            strategy = "hybrid"
            tensor_parallel = 2
            pipeline_parallel = 3
            replicas = 2
            min_replicas = 1
            max_replicas = 4
            device_ids = ["cuda:1", "cuda:0"]
            preferred_devices = ["cuda:0"]
            """
        for (text, name) in [(yaml, "apus.yaml"), (toml, "apus.toml")] {
            let parallel = try Configuration.load(text: text, name: name).configuration.parallel(of: nil, on: .cuda)
            let wishes = parallel.wishes(assignments: ["a": DeviceID(.cuda, 2)], fallback: .otherDevices)
            #expect(wishes.strategy == .hybrid && wishes.tensorParallel == 2 && wishes.pipelineParallel == 3 && wishes.replicas == 2)
            #expect(wishes.deviceIDs == [DeviceID(.cuda, 1), DeviceID(.cuda, 0)] && wishes.preferredDevices == [DeviceID(.cuda, 0)])
            #expect(wishes.modelAssignments == ["a": DeviceID(.cuda, 2)] && wishes.fallback == .otherDevices)
            #expect(parallel.minReplicas == 1 && parallel.maxReplicas == 4)
        }
        let splits = try Configuration.load(text: "parallel:\n  splits: [\"3:cpu:0\", \"6:cpu:1\"]\n", name: "apus.yaml").configuration.parallel.splits
        #expect(splits == [SplitPoint(end: 3, device: DeviceID(.cpu, 0)), SplitPoint(end: 6, device: DeviceID(.cpu, 1))])
    }

    @Test func `nothing said leaves all to the planner`() throws {
        let configuration = try Configuration.load(file: nil, environment: [:]).configuration
        #expect(configuration.parallel(of: nil, on: .cuda).wishes(assignments: [:], fallback: .cpu) == ParallelWishes())
    }

    @Test func `the command line goes before the environment and the environment before the file`() throws {
        let environment = ["APUS_TENSOR_PARALLEL": "4", "APUS_PIPELINE_PARALLEL": "4", "APUS_PARALLEL_STRATEGY": "hybrid", "APUS_REPLICAS": "1"]
        let parallel = try Configuration.load(
            text: "parallel:\n  tensor_parallel: 2\n  pipeline_parallel: 2\n  max_replicas: 3\n", name: "apus.yaml", environment: environment,
            options: [
                ConfigurationOption("--pipeline-parallel", sets: "parallel.pipeline_parallel", to: ["6"]),
                ConfigurationOption("--split", sets: "parallel.splits", to: ["1:cpu:0,2:cpu:1"]),
            ]
        ).configuration.parallel
        #expect(parallel.tensorParallel == 4 && parallel.pipelineParallel == 6 && parallel.strategy == .hybrid && parallel.replicas == 1)
        #expect(parallel.maxReplicas == 3 && parallel.splits.count == 2)
    }

    @Test func `a model of its own cut takes nothing of the cut of all`() throws {
        let configuration = try Configuration.load(
            text: """
                parallel: {tensor_parallel: 4, pipeline_parallel: 2, max_replicas: 2, device_ids: [cuda:3]}
                models:
                  - path: one
                    parallel: {pipeline_parallel: 3, max_replicas: 5}
                  - path: two
                    parallel: {replicas: 2}
                  - three
                """, name: "apus.yaml"
        ).configuration
        let plans = configuration.models.map { configuration.parallel(of: $0, on: .cpu) }
        #expect(plans.map(\.tensorParallel) == [nil, 4, 4])
        #expect(plans.map(\.pipelineParallel) == [3, 2, 2])
        #expect(plans.map(\.maxReplicas) == [5, 2, 2] && plans.map(\.replicas) == [nil, 2, nil])
        #expect(plans.allSatisfy { $0.deviceIDs == [DeviceID(.cuda, 3)] })
    }

    @Test func `other platforms' spellings count for accelerators, where the section says nothing`() throws {
        let yaml = try Configuration.load(text: PlatformFixtures.yaml, name: "gpu.yaml").configuration
        let plan = yaml.parallel(of: nil, on: .cuda)
        #expect(plan.tensorParallel == 2 && plan.pipelineParallel == 2 && plan.strategy == nil)
        #expect(yaml.parallel(of: nil, on: .cpu) == Configuration.Parallel())
        let environment = try Configuration.load(file: nil, environment: ["MUAI_OPT_VLLM_TENSOR_PARALLEL": "2"]).configuration
        #expect(environment.parallel(of: nil, on: .cuda).tensorParallel == 2)

        func loaded(_ text: String) throws -> Configuration.Parallel {
            try Configuration.load(text: text, name: "apus.yaml").configuration.parallel(of: nil, on: .cuda)
        }
        #expect(try loaded("optimization: {vllm: {enabled: false, tensor_parallel_size: 2}}").tensorParallel == nil)
        #expect(try loaded("optimization: {vllm: {tensor_parallel_size: 2}, deepspeed: {pipeline_parallel: 4}}").pipelineParallel == 4)
        #expect(try loaded("optimization: {vllm: {tensor_parallel_size: 2}}\nparallel: {strategy: none}").tensorParallel == nil)
        #expect(try loaded("gpu: {multi_gpu: {enabled: true, strategy: model_parallel}}").strategy == .pipeline)
        #expect(try loaded("gpu: {multi_gpu: {enabled: true, strategy: tensor_parallel}}").strategy == .tensor)
        #expect(try loaded("gpu: {multi_gpu: {enabled: false, strategy: tensor_parallel}}").strategy == nil)
    }

    @Test(arguments: [
        ("parallel: {strategy: pipelines}", "did you mean 'pipeline'?"), ("parallel: {tensor_paralel: 2}", "did you mean 'tensor_parallel'?"),
        ("parallel: {tensor_parallel: 0}", "0 is outside 1 to 1024"), ("parallel: {replicas: 1.5}", "a whole number is wanted"),
        ("parallel: {device_ids: [0]}", "parallel.device_ids[0]: a text is wanted"),
        ("parallel: {device_ids: [gpu:0]}", "\"gpu:0\" is no device: a kind and a number are wanted, as in cuda:0"),
        ("parallel: {splits: [cpu:0]}", "\"cpu:0\" is no split point. Write LAYER:DEVICE"),
        ("parallel: {min_replicas: 3, max_replicas: 2}", "parallel.min_replicas, 3, is more than parallel.max_replicas, 2"),
        ("parallel: {replicas: 3, max_replicas: 2}", "parallel.replicas, 3, is outside"),
        ("models: [{path: a, parallel: {replica: 1}}]", "models[0].parallel.replica: unknown key 'replica': did you mean 'replicas'?"),
        ("models: [{path: a, parallel: {replicas: 9}}]\nparallel: {max_replicas: 8}", "models[0].parallel: parallel.replicas, 9, is outside"),
        ("models: [{path: a, parallel: 3}]", "models[0].parallel: a section is wanted, not 3"),
    ])
    func `what is wrong is told with its place`(_ text: String, _ message: String) throws {
        let problem = try Self.problem(text + "\n")
        #expect(problem.contains(message), "\(problem)")
        #expect(problem.contains("apus.yaml:1") || problem.contains("apus.yaml:2"))
    }
}
