import ApusConfiguration
import ApusErrors
import ApusTensor
import Foundation
import Testing

struct ConfigurationLoadingTests {
    private func load(
        _ text: String, _ name: String = "apus.yaml", environment: [String: String] = [:], options: [ConfigurationOption] = []
    ) throws -> Configuration {
        try Configuration.load(text: text, name: name, environment: environment, options: options).configuration
    }

    @Test func `an empty file gives the defaults`() throws {
        for (text, name) in [("", "a.yaml"), ("# nothing\n", "a.yml"), ("", "a.toml"), ("server:\n", "a.yaml"), ("[server]\n", "a.toml")] {
            #expect(try load(text, name) == Configuration())
        }
        let none = try Configuration.load(file: nil, environment: [:])
        #expect(none.configuration == Configuration())
        #expect(none.notes.isEmpty)
    }

    @Test func `both formats mean the same`() throws {
        let yaml = """
            server:
              host: 0.0.0.0
              port: 9000
              header_timeout_ms: 1500
            models:
              - path: /models/one
                id: one
                precision: int8
                precision_floor: 0.98
                max_tokens: 128
              - all-MiniLM-L6-v2
            limits: {max_inputs: 10}
            batching:
              token_budget: 1024
            precision: bf16
            precision_floor: 0.9995
            """
        let toml = """
            precision = "bf16"
            precision_floor = 0.9995
            models = [{ path = "/models/one", id = "one", precision = "int8", precision_floor = 0.98, max_tokens = 128 }, "all-MiniLM-L6-v2"]
            limits.max_inputs = 10

            [server]
            host = "0.0.0.0"
            port = 9_000
            header_timeout_ms = 1500

            [batching]
            token_budget = 0x400
            """
        let configuration = try load(yaml)
        #expect(configuration == (try load(toml, "apus.toml")))
        #expect(configuration.server.host == "0.0.0.0")
        #expect(configuration.server.port == 9_000)
        #expect(configuration.server.headerTimeout == .milliseconds(1_500))
        #expect(configuration.limits.maxInputs == 10)
        #expect(configuration.batching.tokenBudget == 1_024)
        #expect(configuration.precision == .bf16)
        #expect(configuration.precisionFloor == 0.9995)
        #expect(configuration.models == [
            Configuration.Model(source: "/models/one", id: "one", precision: .int8, precisionFloor: 0.98, maxTokens: 128),
            Configuration.Model(source: "all-MiniLM-L6-v2"),
        ])
    }

    @Test func `arrays of tables are models too`() throws {
        let text = "[[models]]\npath = 'a'\n[[models]]\nname = 'b'\nid = 'second'\n"
        #expect(try load(text, "apus.toml").models == [Configuration.Model(source: "a"), Configuration.Model(source: "b", id: "second")])
    }

    @Test func `options go before environment, environment before file, file before defaults`() throws {
        let file = "server: {host: file, port: 1, max_connections: 1}\nmodels: [file]\n"
        let environment = ["APUS_HOST": "environment", "APUS_PORT": "2", "APUS_MODEL": "a, b", "APUS_MAX_CONNECTIONS": ""]
        let options = [
            ConfigurationOption("--port", sets: "server.port", to: ["3"]), ConfigurationOption("--model", sets: "models", to: ["x,y", "z"]),
        ]
        let filed = try load(file)
        #expect((filed.server.host, filed.server.port) == ("file", 1))
        let layered = try load(file, environment: environment)
        #expect((layered.server.host, layered.server.port, layered.server.maxConnections) == ("environment", 2, 1))
        #expect(layered.models.map(\.source) == ["a", "b"])
        let all = try load(file, environment: environment, options: options)
        #expect((all.server.host, all.server.port) == ("environment", 3))
        #expect(all.models.map(\.source) == ["x,y", "z"])
        #expect(all.server.bodyTimeout == .seconds(30))
    }

    @Test func `files are read from disk by their ending`() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "apus-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func path(_ name: String, _ bytes: [UInt8]) throws -> String {
            try Data(bytes).write(to: folder.appending(path: name))
            return folder.appending(path: name).path
        }
        let port = try Configuration.load(file: path("a.yaml", Array("server: {port: 7}".utf8)), environment: [:]).configuration.server.port
        #expect(port == 7)
        for (name, bytes, code) in [
            ("a.json", Array("{}".utf8), ApusError.Code.invalidConfiguration), ("b.yaml", [0xFF, 0xFE], .invalidConfiguration),
            ("c.toml", Array("a = 1\0".utf8), .invalidConfiguration), ("d.yaml", [UInt8](repeating: 0x20, count: 1 << 20 + 1), .invalidConfiguration),
        ] {
            let file = try path(name, bytes)
            let error = #expect(throws: ApusError.self) { try Configuration.load(file: file, environment: [:]) }
            #expect(error?.code == code)
            #expect(error?.place == file)
        }
        let missing = #expect(throws: ApusError.self) { try Configuration.load(file: folder.path + "/absent.yaml", environment: [:]) }
        #expect(missing?.code == .fileUnreadable)
    }
}
