import ApusConfiguration
import ApusErrors
import Testing

/// `segments`, `offload` and the limits that they go by.
@Suite struct SegmentConfigurationTests {
    private func load(
        _ text: String, environment: [String: String] = [:], options: [ConfigurationOption] = []
    ) throws -> Configuration {
        try Configuration.load(text: text, name: "a.yaml", environment: environment, options: options).configuration
    }

    private func problems(_ text: String, environment: [String: String] = [:]) -> String {
        do {
            _ = try load(text, environment: environment)
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test func nothingSaidIsAutomatic() throws {
        let configuration = try load("")
        #expect(configuration.segments == .auto && configuration.offload == .auto)
        #expect(configuration.accelerators.offloads == nil && configuration.devices.memoryLimitMiB == nil)
    }

    @Test func everyModelMayHaveItsOwn() throws {
        let configuration = try load(
            """
            segments: 3
            offload: never
            devices: {memory_limit_mb: 512}
            models:
              - a
              - {name: b, segments: auto, offload: always}
              - {name: c, segments: 12}
            """)
        #expect(configuration.segments == .count(3) && configuration.offload == .never)
        #expect(configuration.devices.memoryLimitMiB == 512 && configuration.accelerators.memoryLimitMiB == nil)
        #expect(configuration.models.map(\.segments) == [nil, .auto, .count(12)])
        #expect(configuration.models.map(\.offload) == [nil, .always, nil])
    }

    @Test func theCommandLineGoesBeforeTheEnvironmentAndThatBeforeTheFile() throws {
        let variables = ["APUS_SEGMENTS": "5", "APUS_OFFLOAD": "always"]
        let fromVariables = try load("segments: 3", environment: variables)
        #expect(fromVariables.segments == .count(5) && fromVariables.offload == .always)
        let options = [
            ConfigurationOption("--segments", sets: "segments", to: ["auto"]), ConfigurationOption("--offload", sets: "offload", to: ["never"]),
        ]
        let fromOptions = try load("segments: 3", environment: variables, options: options)
        #expect(fromOptions.segments == .auto && fromOptions.offload == .never)
    }

    @Test func theOldSpellingGoesForAccelerators() throws {
        #expect(try load("gpu: {memory: {offload_to_cpu: true}}").accelerators.offloads == true)
        #expect(try load("gpu: {memory: {offload_to_cpu: false}}").accelerators.offloads == false)
    }

    @Test(arguments: [
        ("segments: 0", "0 is outside 1 to 1024"), ("segments: -1", "-1 is outside"), ("segments: 1025", "1025 is outside"),
        ("segments: many", "neither a whole number nor auto"), ("segments: 1.5", "a whole number is wanted"), ("offload: maybe", "none of never, auto, always"),
        ("offload: alway", "did you mean 'always'?"), ("models: [{name: a, segments: 0}]", "0 is outside"), ("models: [{name: a, offload: 1}]", "one of never"),
        ("segment: 3", "did you mean 'segments'?"),
    ])
    func wrongValuesAreRefusedWithTheirPlace(text: String, message: String) {
        #expect(problems(text).contains(message))
        #expect(problems(text).contains("a.yaml"))
    }

    @Test func wrongVariablesAreRefused() {
        #expect(problems("", environment: ["APUS_SEGMENTS": "0"]).contains("0 is outside 1 to 1024"))
        #expect(problems("", environment: ["APUS_SEGMENTS": "few"]).contains("neither a whole number nor auto"))
    }
}
