import ApusErrors
import Testing

extension HTTPTests {
    @Suite("Loading and unloading")
    struct LoadingRouteTests {
        private func post(_ target: String, to server: TestServer) async throws -> RawResponse {
            let connection = try await server.connect()
            try await connection.send(Wire.request("POST \(target) HTTP/1.1", headers: ["Content-Length: 0"]))
            return try await connection.response()
        }

        @Test("An unloaded model takes no work until it is loaded again")
        func roundTrip() async throws {
            try await TestServer.run { server in
                let unloaded = try await post("/v1/models/m/unload", to: server)
                #expect(unloaded.status == 200)
                #expect(unloaded.text == #"{"id":"m","object":"model","state":"unloaded"}"#)
                let connection = try await server.connect()
                try await connection.send(Wire.embed(#"{"model":"m","input":"good"}"#))
                let refused = try await connection.response()
                #expect(refused.status == 503)
                #expect(try refused.error.code == "model_unloaded")
                #expect(try refused.error.param == "model")
                #expect(try refused.error.message.contains("/load"))
                #expect(refused["retry-after"] == "30")
                let loaded = try await post("/v1/models/m/load", to: server)
                #expect(loaded.status == 200)
                #expect(loaded.text == #"{"id":"m","object":"model","state":"ready"}"#)
                try await server.expectGoodAnswer(on: connection)
            }
        }

        @Test("What is not settled yet is 202, whatever slashes its name has")
        func unsettled() async throws {
            try await TestServer.run { server in
                for name in ["org/gated", "org%2Fgated"] {
                    let response = try await post("/v1/models/\(name)/unload", to: server)
                    #expect(response.status == 202, "\(name)")
                    #expect(response.text == #"{"id":"org/gated","object":"model","state":"unloading"}"#, "\(name)")
                }
                #expect(try await post("/v1/models/slow-to-load/load", to: server).status == 202)
            }
        }

        @Test("Only names that the server was started with are models, and no path is one",
            arguments: ["x", "..%2F..%2Fetc", "%2Fetc", "M", "m%00", "..", "m%0A"])
        func unknown(name: String) async throws {
            try await TestServer.run { server in
                for verb in ["load", "unload"] {
                    let response = try await post("/v1/models/\(name)/\(verb)", to: server)
                    #expect(name == "m%00" ? response.status == 400 : response.status == 404, "\(verb)")
                    if name != "m%00" { #expect(try response.error.code == "model_not_found", "\(verb)") }
                }
            }
        }

        @Test("Why loading failed is told, a wrong method has an Allow, and verbs without a name are names")
        func failures() async throws {
            try await TestServer.run { server in
                #expect(try await post("/v1/models/broken/load", to: server).error.code == "invalid_checkpoint")
                let connection = try await server.connect()
                try await connection.send(Wire.get("/v1/models/m/load"))
                let wrong = try await connection.response()
                #expect(wrong.status == 405)
                #expect(wrong["allow"] == "POST")
                for target in ["/v1/models/load", "/v1/models//load"] {
                    try await connection.send(Wire.get(target))
                    #expect(try await connection.response().status == 404, "\(target)")
                }
            }
        }
    }
}
