import ApusErrors
import ApusExecution
import ApusJSON
import ApusService
import Testing

extension HTTPTests {
    @Suite("Devices")
    struct DeviceRouteTests {
        static let cpu = #"{"device":"cpu:0","kind":"cpu","role":"standby","name":"CPU","uuid":"","state":"serving","stage":"healthy","fallback":"none","serves_as":"temporary","share":1.0,"pid":42,"engine":"1.31.1","restarts":0,"cores":[0,1],"lanes":2,"tensorrt":false,"cuda_graphs":false,"grade":"A","memory":{"allocated_mb":1.5,"reserved_mb":2.0,"max_allocated_mb":2.0,"total_mb":1024.0,"utilization_pct":0.15,"weights":{"layers_mb":1.0,"embedding_mb":0.5,"head_mb":0.25},"buffers":{"hits":7,"misses":2,"held_mb":0.5,"trimmed_mb":3.0}},"gpu":null,"batches":0,"failures":0,"sequences":0,"average_latency_ms":2.5,"texts_per_second":12.5,"last_reason":null,"last_failure":null,"health":{"verdict":"healthy","findings":[]},"models":["m"]}"#
        static let gpu = #"{"device":"cuda:0","kind":"cuda","role":"intended","name":"NVIDIA \"A\"\u0001","uuid":"GPU-1","state":"away","stage":"restarting","fallback":"temporary","serves_as":null,"share":0.5,"pid":null,"engine":null,"restarts":3,"cores":[],"lanes":1,"tensorrt":true,"cuda_graphs":false,"grade":null,"memory":null,"gpu":{"nvml_index":4,"pci_bus_id":"0000:3B:00.0","memory":{"used_mb":512.0,"free_mb":80896.0,"total_mb":81920.0},"utilization_percent":37,"temperature_celsius":91,"power_watts":350.25,"power_limit_watts":700.0,"clock_events":["hardware_thermal"],"ecc":{"corrected":1,"uncorrected":null},"remapped_rows":{"corrected":1,"uncorrected":2,"pending":true,"failed":false},"pcie_replays":5,"recovery":"reset","driver_version":"570.1","cuda_version":"12.8","compute_capability":"9.0"},"batches":10,"failures":2,"sequences":320,"average_latency_ms":null,"texts_per_second":0.0,"last_reason":{"code":"worker_crashed","text":"its worker\ncrashed"},"last_failure":"worker_crashed","health":{"verdict":"throttle","findings":[{"subject":"temperature","outcome":"throttle","text":"91 C, the driver slows it down at 93 C"}]},"models":[]}"#

        private func send(_ request: [UInt8], to server: TestServer) async throws -> RawResponse {
            let connection = try await server.connect()
            try await connection.send(request)
            return try await connection.response()
        }

        private func post(_ target: String, _ body: String = "", type: String? = "application/json", to server: TestServer) async throws -> RawResponse {
            let headers = ["Content-Length: \(body.utf8.count)"] + (type.map { ["Content-Type: \($0)"] } ?? [])
            return try await send(Wire.request("POST \(target) HTTP/1.1", headers: headers) + Array(body.utf8), to: server)
        }

        @Test("All devices are told, byte for byte")
        func all() async throws {
            try await TestServer.run { server in
                let response = try await send(Wire.get("/v1/devices"), to: server)
                #expect(response.status == 200)
                #expect(response["content-type"] == "application/json")
                #expect(
                    response.text
                        == #"{"devices":[\#(Self.gpu),\#(Self.cpu)],"remedy":"cpu","capacity":0.25,"fallback_rate":0.5,"uptime_seconds":90.5,"uptime_pct":99.5,"average_latency_ms":2.5,"texts_per_second":12.5,"chaos":"cuda:0:crash@1","engine":"ONNX Runtime 1.31.1","cache":null}"#
                )
                #expect(try await send(Wire.get("/v1/devices/cpu:0"), to: server).text == Self.cpu)
                #expect(try await send(Wire.get("/v1/devices/cuda%3A0"), to: server).text == Self.gpu)
            }
        }

        @Test("What an operator asks reaches the device")
        func actions() async throws {
            let devices = ScriptedDevices()
            try await TestServer.run(devices: devices) { server in
                let probe = try await post("/v1/devices/cuda:0/probe", type: nil, to: server)
                #expect(probe.status == 202)
                #expect(probe.text == Self.gpu)
                let cleared = try await post("/v1/devices/cpu:0/clear_cache", to: server)
                #expect(cleared.status == 200)
                #expect(cleared.text == Self.cpu)
                let all = try await post("/v1/devices/clear_cache", to: server)
                #expect(all.status == 200)
                #expect(all.text == #"{"devices":[\#(Self.cpu)]}"#)
                let profile = try await post("/v1/devices/cpu:0/profile", #"{"steps":25,"other":1}"#, to: server)
                #expect(profile.status == 202)
                #expect(profile.text == #"{"device":"cpu:0","steps":25,"directory":"here/logs/gpu_profiles"}"#)
            }
            #expect(devices.requests == ["probe cuda:0", "clear cpu:0", "clear all", "profile cpu:0 25"])
        }

        @Test("A device that is not there is unknown, and shown without control characters",
            arguments: ["cuda:7", "cpu", "cpu:00", "cpu%3A0%0A", "cp%C3%BC:0", "%1b[31m", "..%2f..", "clear_cache"])
        func unknown(id: String) async throws {
            let devices = ScriptedDevices()
            try await TestServer.run(devices: devices) { server in
                for action in ["probe", "clear_cache", "profile"] {
                    let response = try await post("/v1/devices/\(id)/\(action)", #"{"steps":1}"#, to: server)
                    #expect(response.status == 404, "\(action)")
                    let error = try response.error
                    #expect(error.code == "unknown_device", "\(action)")
                    #expect(error.type == "invalid_request_error", "\(action)")
                    #expect(error.message.unicodeScalars.allSatisfy { $0.value >= 0x20 }, "\(action)")
                    #expect(error.message.contains("cuda:0, cpu:0"), "\(action)")
                }
                if id != "clear_cache" {
                    #expect(try await send(Wire.get("/v1/devices/\(id)"), to: server).error.code == "unknown_device")
                }
            }
            #expect(devices.requests == [])
        }

        @Test("Nothing lies anywhere else under /v1/devices", arguments: ["/", "/cpu:0/", "/cpu:0/reboot", "/cpu:0/probe/", "//probe", "/cpu:0/probe/now"])
        func nowhere(path: String) async throws {
            try await TestServer.run { server in
                let response = try await send(Wire.get("/v1/devices\(path)"), to: server)
                #expect(response.status == 404)
                #expect(try response.error.code == "not_found")
            }
        }

        @Test("A wrong method is told the right ones")
        func methods() async throws {
            let devices = ScriptedDevices()
            try await TestServer.run(devices: devices) { server in
                for target in ["/v1/devices", "/v1/devices/cpu:0"] {
                    let response = try await post(target, to: server)
                    #expect(response.status == 405, "\(target)")
                    #expect(response["allow"] == "GET, HEAD", "\(target)")
                }
                for target in ["clear_cache", "cpu:0/probe", "cpu:0/clear_cache", "cpu:0/profile"] {
                    for method in ["GET", "DELETE"] {
                        let response = try await send(Wire.request("\(method) /v1/devices/\(target) HTTP/1.1"), to: server)
                        #expect(response.status == 405, "\(method) \(target)")
                        #expect(response["allow"] == "POST", "\(method) \(target)")
                    }
                }
            }
            #expect(devices.requests == [])
        }

        @Test(
            "A profile needs a number of steps",
            arguments: [
                ("", "invalid_json", 400), ("[]", "invalid_value", 400), ("{}", "invalid_value", 400), (#"{"steps":"3"}"#, "invalid_value", 400),
                (#"{"steps":1.5}"#, "invalid_value", 400), (#"{"steps":null}"#, "invalid_value", 400), (#"{"steps":1,"steps":2}"#, "invalid_json", 400),
            ])
        func steps(body: String, code: String, status: Int) async throws {
            let devices = ScriptedDevices()
            try await TestServer.run(devices: devices) { server in
                let response = try await post("/v1/devices/cpu:0/profile", body, to: server)
                #expect(response.status == status)
                #expect(try response.error.code == code)
                if code == "invalid_value", body != "[]" { #expect(try response.error.param == "steps") }
                let form = try await post("/v1/devices/cpu:0/profile", #"{"steps":1}"#, type: "application/x-www-form-urlencoded", to: server)
                #expect(form.status == 415)
            }
            #expect(devices.requests == [])
        }

        @Test(
            "A device that cannot do it now is worth another try",
            arguments: DeviceFailure.allCases.filter { $0 != .engine }.map(\.rawValue) + ["no_device", "insufficient_memory"])
        func failures(code: String) async throws {
            let devices = ScriptedDevices(failure: ApusError(ApusError.Code(rawValue: code), "it cannot"))
            try await TestServer.run(devices: devices) { server in
                let response = try await post("/v1/devices/cpu:0/clear_cache", to: server)
                #expect(response.status == 503)
                #expect(response["retry-after"] == "1")
                #expect(try response.error.code == code)
                #expect(try response.error.type == "server_error")
            }
        }

        @Test("What no try will mend is the server's failure", arguments: ["request_quarantined", "engine_failure"])
        func lastingFailures(code: String) async throws {
            let devices = ScriptedDevices(failure: ApusError(ApusError.Code(rawValue: code), "it cannot"))
            try await TestServer.run(devices: devices) { server in
                let response = try await post("/v1/devices/cpu:0/clear_cache", to: server)
                #expect(response.status == 500)
                #expect(response["retry-after"] == nil)
                #expect(try response.error.code == code)
            }
        }

        @Test("Readiness tells capacity, remedy and failures on purpose, and counts capacity")
        func readiness() async throws {
            try await TestServer.run { server in
                let ready = try await send(Wire.get("/health/ready"), to: server)
                #expect(ready.status == 200)
                #expect(ready.text.hasSuffix(#"],"capacity":0.25,"remedy":"cpu","chaos":"cuda:0:crash@1"}"#))
            }
            try await TestServer.run(devices: ScriptedDevices(capacity: 0)) { server in
                let response = try await send(Wire.get("/health/ready"), to: server)
                #expect(response.status == 503)
                #expect(response["retry-after"] == "1")
                #expect(response.text.hasPrefix(#"{"status":"not_ready""#))
            }
        }

        @Test("A server without devices to show has no such routes")
        func none() async throws {
            try await TestServer.run(devices: nil) { server in
                #expect(try await send(Wire.get("/v1/devices"), to: server).error.code == "not_found")
                #expect(try await post("/v1/devices/cpu:0/probe", to: server).error.code == "not_found")
                let ready = try await send(Wire.get("/health/ready"), to: server)
                #expect(ready.status == 200)
                #expect(ready.text.hasSuffix(#"],"capacity":null,"remedy":null,"chaos":null}"#))
            }
        }
    }
}
