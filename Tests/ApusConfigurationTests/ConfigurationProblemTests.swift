import ApusConfiguration
import ApusErrors
import Testing

struct ConfigurationProblemTests {
    private func problems(
        _ text: String, _ name: String = "a.yaml", environment: [String: String] = [:], options: [ConfigurationOption] = []
    ) -> [String] {
        do {
            _ = try Configuration.load(text: text, name: name, environment: environment, options: options)
            return []
        } catch {
            #expect(error.code == .invalidConfiguration)
            return error.message.split(separator: "\n").dropFirst().map(String.init)
        }
    }

    @Test(arguments: [
        ("server:\n  prot: 1", "a.yaml:2: server.prot: unknown key 'prot': did you mean 'port'?"),
        ("sever:\n  port: 1", "a.yaml:1: sever: unknown key 'sever': did you mean 'server'?"),
        ("port: 1", "a.yaml:1: port: unknown key 'port': did you mean 'server.port'?"),
        ("gpu:\n  batch:\n    bacth_size: 1", "a.yaml:3: gpu.batch.bacth_size: unknown key 'bacth_size': did you mean 'batch_size'?"),
        ("server:\n  port: 'x'", "a.yaml:2: server.port: a whole number is wanted, not \"x\""),
        ("server:\n  port: '80'", "a.yaml:2: server.port: a whole number is wanted, not \"80\""),
        ("server:\n  port: 1.5", "a.yaml:2: server.port: a whole number is wanted, not 1.5"),
        ("server:\n  port:", "a.yaml:2: server.port: a whole number is wanted, not nothing"),
        ("server:\n  port: [1]", "a.yaml:2: server.port: a whole number is wanted, not a list"),
        ("server:\n  port: 65536", "a.yaml:2: server.port: 65536 is outside 0 to 65535"),
        ("server:\n  port: -1", "a.yaml:2: server.port: -1 is outside 0 to 65535"),
        ("server:\n  host: 1", "a.yaml:2: server.host: a text is wanted, not 1"),
        ("server:\n  host: ''", "a.yaml:2: server.host: a text is wanted, not \"\""),
        ("server: 1", "a.yaml:1: server: a section is wanted, not 1"),
        ("- 1", "a.yaml:1: a section of settings is wanted, not a list"),
        ("gpu:\n  enabled: 1", "a.yaml:2: gpu.enabled: true or false is wanted, not 1"),
        ("gpu:\n  device_preference: [cuda, tpu]", "a.yaml:2: gpu.device_preference[1]: \"tpu\" is none of cuda, tensorrt, rocm, mps, cpu: did you mean 'cpu'?"),
        ("gpu:\n  memory:\n    precision: fp61", "a.yaml:3: gpu.memory.precision: \"fp61\" is none of fp32, fp16, bf16, int8, int4, auto: did you mean 'fp16'?"),
        (
            "gpu:\n  memory: {precision: bf16}\n  optimization:\n    precision: fp16",
            "a.yaml:2: gpu.memory.precision: bf16 contradicts gpu.optimization.precision, fp16; take one of them out"
        ),
        ("precision_floor: 1.5", "a.yaml:1: precision_floor: 1.5 is outside 0.0 to 1.0"),
        ("models:\n  - {path: x, precision_floor: -1}", "a.yaml:2: models[0].precision_floor: -1.0 is outside 0.0 to 1.0"),
        ("gpu:\n  multi_gpu:\n    device_ids: [0, -1]", "a.yaml:3: gpu.multi_gpu.device_ids[1]: -1 is outside 0 to 1023"),
        ("models: all-MiniLM-L6-v2", "a.yaml:1: models: a list is wanted, not \"all-MiniLM-L6-v2\""),
        ("models:\n  - id: x", "a.yaml:2: models[0]: a model has one of 'path' and 'name'"),
        ("models:\n  - path: x\n    name: y", "a.yaml:2: models[0]: a model has one of 'path' and 'name'"),
        ("models:\n  - path: x\n    max_token: 1", "a.yaml:3: models[0].max_token: unknown key 'max_token': did you mean 'max_tokens'?"),
        ("models:\n  - {path: x, id: m}\n  - {path: y, id: m}", "a.yaml:1: models: two models have the id 'm'"),
        ("model_assignments:\n  ethics_critic: one", "a.yaml:2: model_assignments.ethics_critic: a whole number is wanted, not \"one\""),
        ("gpu:\n  batch:\n    batch_size: 9\n    max_batch_size: 8", "a.yaml:3: gpu.batch.batch_size: 9 is more than the largest batch, 8"),
        ("server:\n  port: 1\n  host: h\n  port: 2", "a.yaml:4: port: the key is written twice, first in line 2"),
        ("server: {port: 1, port: 2}", "a.yaml:1: port: the key is written twice"),
        ("server: [", "a.yaml:2: this is not YAML: did not find expected node content"),
        ("a: 1\n---\nb: 1", "a.yaml:2: this is not YAML: but found another document"),
        ("gpu:\n  fallback_enabled: false\n  device_preference: [cuda, cpu]", "a.yaml:3: gpu.device_preference: there is no cuda device on this machine, and gpu.fallback_enabled is false"),
        ("gpu: {fallback_enabled: false}\ndevices:\n  fallback: cpu", "a.yaml:3: devices.fallback: 'cpu' contradicts gpu.fallback_enabled: false; take one of them out"),
        ("devices: {retry_limit: 7, temporary_limit: 6}", "a.yaml:1: devices.retry_limit: 7 is more than devices.temporary_limit, 6"),
        ("devices:\n  assignment: loose", "a.yaml:2: devices.assignment: \"loose\" is none of report, strict"),
        ("devices:\n  chaos: cpu:0:oom@1", "a.yaml:2: devices.chaos: unknown key 'chaos'; 'devices' has assignment, cuda_graphs, fallback, health_interval_ms, in_process, list, memory_limit_mb, performance_threshold, plugins, retry_limit, temporary_limit"),
        ("gpu:\n  fallback_enabled: false\n  device_id: 0", "a.yaml:3: gpu.device_id: there is no CUDA device 0 on this machine, and gpu.fallback_enabled is false"),
    ])
    func `each problem in YAML is told with file, line, key and what would be right`(_ row: (text: String, problem: String)) {
        #expect(problems(row.text) == [row.problem])
    }

    @Test(arguments: [
        ("[server]\nprot = 1", "a.toml:2: server.prot: unknown key 'prot': did you mean 'port'?"),
        ("[server]\n# port = 1\nport = 'x'", "a.toml:3: server.port: a whole number is wanted, not \"x\""),
        ("server.port = 1.0", "a.toml:1: server.port: a whole number is wanted, not 1.0"),
        ("\n[gpu.batch] # sizes\nmax_size = 0", "a.toml:3: gpu.batch.max_size: 0 is outside 1 to 65536"),
        ("gpu.enabled = 1979-05-27", "a.toml:1: no setting is a date or a time"),
        ("[gpu]\ndevice_preference = [\n  'cuda', # first\n  'tpu',\n]\nenable = true", "a.toml:2: gpu.device_preference[1]: \"tpu\" is none of cuda, tensorrt, rocm, mps, cpu: did you mean 'cpu'?|a.toml:6: gpu.enable: unknown key 'enable': did you mean 'enabled'?"),
        ("[[models]]\npath = \"\"\"a\nb\"\"\"\n[[models]]\npath = 'b'\nidd = 1", "a.toml:6: models[1].idd: unknown key 'idd': did you mean 'id'?"),
        ("[server]\nport = 1\nhost = 'h'\nport = 2", "a.toml:4: server.port: the key is written twice, first in line 2"),
        ("[server]\nport = 1\n[gpu]\n[server]\nport = 2\n[gpu.batch]\nmax_sise = 1", "a.toml:4: server: the key is written twice, first in line 1|a.toml:7: gpu.batch.max_sise: unknown key 'max_sise': did you mean 'max_size'?"),
        ("[]\nport = 1\n[server]\nprot = 1", "a.toml:1: this is not TOML: a table has no name|a.toml:4: server.prot: unknown key 'prot': did you mean 'port'?"),
        ("[[.a]]", "a.toml:1: this is not TOML: a table has no name"),
        ("x = 1 # [\n[ =", "a.toml:2: this is not TOML: a table has no name|a.toml:1: x: unknown key 'x'"),
        ("models = [ } ]\nx = 1", "a.toml:1: this is not TOML: brackets do not match|a.toml:2: x: unknown key 'x'"),
        ("port 1", "a.toml:1: this is not TOML: Error while parsing key-value pair: expected '=', saw '1'"),
        ("[server]\nport = 99999999999999999999", "a.toml:2: this is not TOML: Error while parsing decimal integer: '99999999999999999999' is not representable in 64 bits"),
    ])
    func `each problem in TOML is told with file, line, key and what would be right`(_ row: (text: String, problems: String)) {
        #expect(problems(row.text, "a.toml") == row.problems.split(separator: "|").map(String.init))
    }

    @Test func `all problems of a file, the environment and the options come at once and in order`() {
        let text = """
            server:
              port: x
              port: 2
              prot: 3
            limits:
              max_inputs: 0
            limits:
              max_inputs: 1
            gpu:
              batch:
                timeout_ms: soon
                timeout_ms: later
            """
        let found = problems(
            text, environment: ["MAGRAY_BATCH_SIZE": "many", "MAGRAY_USE_TENSORRT": "maybe", "MAGRAY_GPU_FALLBACK_THRESHOLD": "-1.5"],
            options: [ConfigurationOption("--port", sets: "server.port", to: ["high"])])
        #expect(found == [
            "a.yaml:3: port: the key is written twice, first in line 2",
            "a.yaml:12: timeout_ms: the key is written twice, first in line 11",
            "a.yaml:7: limits: the key is written twice, first in line 5",
            "a.yaml:2: server.port: a whole number is wanted, not \"x\"",
            "a.yaml:4: server.prot: unknown key 'prot': did you mean 'port'?",
            "a.yaml:6: limits.max_inputs: 0 is outside 1 to 1048576",
            "a.yaml:11: gpu.batch.timeout_ms: a whole number is wanted, not \"soon\"",
            "environment variable MAGRAY_BATCH_SIZE: gpu.batch.batch_size: a whole number is wanted, not \"many\"",
            "environment variable MAGRAY_GPU_FALLBACK_THRESHOLD: devices.performance_threshold: -1.5 is outside 0.0 to 1000.0",
            "environment variable MAGRAY_USE_TENSORRT: gpu.optimization.use_tensorrt: true or false is wanted, not \"maybe\"",
            "option --port: server.port: a whole number is wanted, not \"high\"",
        ])
    }

    @Test func `aliases that multiply without end are refused`() {
        var text = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n"
        for level in 1..<9 { text += "a\(level): &a\(level) [\(Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ","))]\n" }
        #expect(problems(text).first?.contains("100000 values") == true)
    }
}
