import ApusConfiguration
import ApusErrors
import ApusTensor
import Testing

struct PlatformConfigurationTests {
    @Test func `the YAML file loads to the letter, each key with an effect or a note`() throws {
        let loaded = try Configuration.load(text: PlatformFixtures.yaml, name: "gpu.yaml")
        let (configuration, notes) = (loaded.configuration, loaded.notes)
        #expect(configuration.batching.preferredSize == 8)
        #expect(configuration.batching.maxSize == 32)
        #expect(configuration.batching.isDynamic == true)
        #expect(configuration.accelerators.preference == ["cuda", "mps", "cpu"])
        #expect(configuration.accelerators.isEnabled)
        #expect(configuration.accelerators.precision == nil && configuration.accelerators.effectivePrecision == .fp16)
        #expect(configuration.precision == .auto)
        #expect(configuration.modelAssignments == ["ethics_critic": 0, "fairness_critic": 1, "safety_critic": 2, "precedent_retrieval": 3])

        let effective = [
            "gpu.batch.max_batch_size", "gpu.batch.dynamic_batching", "gpu.monitoring.log_memory_stats", "gpu.monitoring.memory_check_interval", "model_assignments",
        ]
        let noted = notes.map(\.key)
        #expect(Set(noted).count == noted.count)
        #expect(Set(noted).isDisjoint(with: effective))
        // The keys of the file, counted by hand; the four roles are one.
        #expect(noted.count + effective.count == 28)
        let precision = notes.first { $0.key == "gpu.memory.precision" }
        #expect(precision?.description == "gpu.yaml:12: gpu.memory.precision: no accelerator is used: has no effect, CPUs take precision, which is auto")
        let preference = notes.first { $0.key == "gpu.device_preference" }
        #expect(preference?.description == "gpu.yaml:3: gpu.device_preference: not on this machine and passed over: cuda, mps")
    }

    @Test func `the TOML file loads to the letter, each key with an effect or a note`() throws {
        let loaded = try Configuration.load(text: PlatformFixtures.toml, name: "gpu.toml")
        let (configuration, notes) = (loaded.configuration, loaded.notes)
        #expect(configuration.batching.preferredSize == 32)
        #expect(configuration.batching.maxSize == 128)
        #expect(configuration.batching.maxWait == .milliseconds(100))
        #expect(configuration.batching.effectiveMaxWait == .milliseconds(100))
        #expect(configuration.batching.isAdaptive == true)
        #expect(configuration.batching.effectiveTargetLatency == nil)
        #expect(configuration.accelerators.isFallbackEnabled)
        #expect(configuration.accelerators.deviceIDs == [0])
        #expect(configuration.accelerators.memoryLimitMiB == 2_048)
        #expect(configuration.accelerators.precision == .fp16)
        #expect(configuration.graphOptimization == .all)
        #expect(notes.map { $0.description.prefix { $0 != " " } } == ["gpu.toml:2:", "gpu.toml:3:", "gpu.toml:4:", "gpu.toml:6:", "gpu.toml:9:", "gpu.toml:11:", "gpu.toml:14:", "gpu.toml:17:"])
        #expect(notes.last?.message == "has no effect without batching.target_latency_ms, the latency that sizes would follow")
    }

    @Test func `the environment loads to the letter, each variable with an effect or a note`() throws {
        let loaded = try Configuration.load(file: nil, environment: PlatformFixtures.environment)
        let (configuration, notes) = (loaded.configuration, loaded.notes)
        #expect(configuration.batching.preferredSize == 32)
        #expect(configuration.batching.maxWait == .milliseconds(100))
        #expect(configuration.graphOptimization == .all)
        let noted = Set(notes.map(\.origin.description))
        for variable in PlatformFixtures.environment.keys {
            let isEffective = ["ONNX_GRAPH_OPTIMIZATION", "MAGRAY_BATCH_TIMEOUT_MS"].contains(variable)
            #expect(noted.contains("environment variable \(variable)") != isEffective)
        }
    }

    @Test func `the environment goes before the file`() throws {
        let configuration = try Configuration.load(
            text: PlatformFixtures.yaml, name: "gpu.yaml",
            environment: ["MAGRAY_BATCH_SIZE": "16", "ONNX_GRAPH_OPTIMIZATION": "disable", "MAGRAY_BATCH_TIMEOUT_MS": "0"]
        ).configuration
        #expect(configuration.batching.preferredSize == 16)
        #expect(configuration.batching.maxWait == .zero)
        #expect(configuration.graphOptimization == .none)
    }

    @Test func `on a machine with CUDA devices the keys that need them have no note`() throws {
        let (toml, yaml) = (
            try Configuration.load(text: PlatformFixtures.toml, name: "gpu.toml", machine: MachineFeatures(cudaDevices: 1)),
            try Configuration.load(text: PlatformFixtures.yaml, name: "gpu.yaml", machine: MachineFeatures(cudaDevices: 4))
        )
        #expect((toml.notes + yaml.notes).allSatisfy { !$0.message.contains("CUDA") })
        #expect(!toml.notes.map(\.key).contains("gpu.optimization.use_tensorrt"))
        #expect(!(toml.notes + yaml.notes).contains { $0.key.hasSuffix(".precision") })
        #expect(toml.configuration.accelerators.usesTensorRT)
        #expect(yaml.configuration.accelerators.deviceIDs == [0, 1, 2, 3])
        #expect(!yaml.configuration.accelerators.isMultiple)
        #expect(yaml.configuration.accelerators.streams == 4)
        #expect(yaml.configuration.accelerators.allowsTF32)
        #expect(yaml.configuration.devices.logsMemory)
        #expect(yaml.configuration.devices.memoryInterval == .seconds(60))
    }

    @Test func `a variable that looks like a setting and is none gets a note with the nearest name`() throws {
        let notes = try Configuration.load(file: nil, environment: ["APUS_PROT": "1", "APUS_HOME": "x", "PATH": "y"]).notes
        #expect(notes.map(\.description) == ["environment variable APUS_PROT: APUS_PROT: no such setting: did you mean 'APUS_PORT'?"])
    }

    @Test func `every setting has a name of its own and a line for the documentation`() {
        let names = ConfigurationSchema.keys.map(\.name)
        #expect(Set(names).count == names.count)
        let variables = ConfigurationSchema.keys.flatMap(\.variables)
        #expect(Set(variables).count == variables.count)
        #expect(ConfigurationSchema.keys.allSatisfy { !$0.summary.isEmpty && !$0.name.isEmpty })
    }
}
