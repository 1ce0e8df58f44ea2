import ApusJSON
import Testing

extension HTTPTests {
    @Suite("Answers")
    struct AnswerTests {
        private func answer(_ body: String, headers: [String] = [], on server: TestServer) async throws -> RawResponse {
            let connection = try await server.connect()
            try await connection.send(Wire.embed(body, headers: headers))
            return try await connection.response()
        }

        @Test("One text gives OpenAI's list, byte for byte, with every header")
        func oneText() async throws {
            try await TestServer.run { server in
                let response = try await answer(#"{"model":"m","input":"ab"}"#, headers: ["x-request-id: trace-1"], on: server)
                #expect(response.status == 200)
                #expect(
                    response.text
                        == #"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.25,0.375,0.5,0.625,0.75,0.875,1.0,1.125]}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}"#
                )
                let wanted = [
                    "x-apus-device": "cpu:0", "x-apus-precision": "fp32", "x-apus-fallback": "none", "x-apus-batch": "1",
                    "x-apus-cache": "hit=0, miss=1", "x-apus-truncated": "0", "x-request-id": "trace-1",
                    "content-type": "application/json", "content-length": String(response.body.count),
                ]
                for (name, value) in wanted { #expect(response[name] == value, "\(name)") }
                #expect(response["date"]?.hasSuffix(" GMT") == true)
                #expect(response["connection"] == nil)
            }
        }

        @Test("Inputs come back in order, tokens are summed, and truncation is counted")
        func manyTexts() async throws {
            try await TestServer.run { server in
                let long = String(repeating: "w ", count: 20)
                let response = try await answer(#"{"model":"m","input":["a","bb c","\#(long)"]}"#, on: server)
                let data = try JSONReader(try response.json).array("data")
                var firsts: [Double] = []
                for (index, element) in data.enumerated() {
                    let entry = try JSONReader(element)
                    #expect(try entry.integer("index") == index)
                    firsts.append(try #require(try entry.array("embedding").first).numberValue(at: "embedding"))
                }
                #expect(firsts == [0.125, 0.5, 5])
                #expect(response["x-apus-truncated"] == "1")
                #expect(response["x-apus-batch"] == "3")
                #expect(try JSONReader(try response.json).reader("usage").integer("prompt_tokens") == 23)
            }
        }

        @Test("Token ids are an input, alone or in lists")
        func tokens() async throws {
            try await TestServer.run { server in
                let one = try await answer(#"{"model":"m","input":[1,2,3]}"#, on: server)
                #expect(one.text.contains(#""data":[{"object":"embedding","index":0,"embedding":[0.375,"#))
                #expect(!one.text.contains(#""index":1"#))
                let two = try await answer(#"{"model":"m","input":[[1,2,3],[4]]}"#, on: server)
                #expect(two.text.contains(#"{"object":"embedding","index":1,"embedding":[0.125,"#))
            }
        }

        @Test("base64 holds the little-endian floats")
        func base64() async throws {
            try await TestServer.run { server in
                let response = try await answer(#"{"model":"m","input":"ab","encoding_format":"base64"}"#, on: server)
                // 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1, 1.125 as struct.pack("<8f") and base64 give them in Python.
                #expect(response.text.contains(#""embedding":"AACAPgAAwD4AAAA/AAAgPwAAQD8AAGA/AACAPwAAkD8=""#))
            }
        }

        @Test("Fewer dimensions cut the vector and bring it back to length 1")
        func dimensions() async throws {
            try await TestServer.run { server in
                // (0.375, 0.5) / 0.625
                let response = try await answer(#"{"model":"m","input":"abc","dimensions":2}"#, on: server)
                #expect(response.text.contains(#""embedding":[0.6,0.8]"#))
                let whole = try await answer(#"{"model":"m","input":"abc","dimensions":8}"#, on: server)
                #expect(whole.text.contains(#""embedding":[0.375,0.5,"#))
            }
        }

        @Test("Provenance is told for each input, by field or by header")
        func provenance() async throws {
            try await TestServer.run { server in
                let byField = try await answer(#"{"model":"m","input":["a","b"],"provenance":true}"#, on: server)
                let byHeader = try await answer(#"{"model":"m","input":["a","b"]}"#, headers: ["x-apus-provenance: 1"], on: server)
                let one = #"{"device":"cpu:0","precision":"fp32","fallback":"none","batch_size":2,"padding":0,"cache":"miss","truncated":false,"original_tokens":3,"queue_ms":0.5,"run_ms":1.5}"#
                #expect(byField.text.hasSuffix(#","provenance":[\#(one),\#(one)]}"#))
                #expect(byHeader.text == byField.text)
            }
        }

        @Test("A request id that is not short and visible is replaced", arguments: ["", "a b", "naïve", String(repeating: "x", count: 129)])
        func requestID(given: String) async throws {
            try await TestServer.run { server in
                let response = try await answer(#"{"model":"m","input":"a"}"#, headers: ["x-request-id: \(given)"], on: server)
                let made = try #require(response["x-request-id"])
                #expect(made.hasPrefix("req-") && made.utf8.count == 36)
            }
        }

        @Test("Models are listed in OpenAI's shape with the fields of ours")
        func models() async throws {
            try await TestServer.run { server in
                let connection = try await server.connect()
                try await connection.send(Wire.get("/v1/models"))
                let list = try await connection.response()
                let data = try JSONReader(try list.json).array("data")
                #expect(try data.map { try JSONReader($0).string("id") } == ["m", "wide", "org/gated", "reranker", "classifier"])

                try await connection.send(Wire.get("/v1/models/m?verbose=1"))
                #expect(
                    try await connection.response().text
                        == #"{"id":"m","object":"model","created":1700000000,"owned_by":"apus","task":"embedding","dimensions":8,"max_tokens":16,"precision":"fp32","segments":1,"offload":false,"devices":["cpu:0"],"weights_sha256":"\#(String(repeating: "ab", count: 32))","cosine_to_fp32":1.0}"#
                )
                for target in ["/v1/models/org/gated", "/v1/models/org%2Fgated", "http://localhost/v1/models/%6frg/gated"] {
                    try await connection.send(Wire.get(target))
                    let response = try await connection.response()
                    #expect(response.status == 200, "\(target)")
                    #expect(response.text.hasPrefix(#"{"id":"org/gated","#), "\(target)")
                }
                for target in ["/v1/models/x", "/v1/models/..%2f..", "/v1/models/a%0ab"] {
                    try await connection.send(Wire.get(target))
                    let response = try await connection.response()
                    #expect(response.status == 404, "\(target)")
                    #expect(try response.error.code == "model_not_found", "\(target)")
                }
                try await connection.send(Wire.get("/v1/models/"))
                #expect(try await connection.response().error.code == "not_found")
            }
        }

        @Test("Ready means every model on at least one device")
        func readiness() async throws {
            try await TestServer.run { server in
                let connection = try await server.connect()
                try await connection.send(Wire.get("/health/ready"))
                let ready = try await connection.response()
                #expect(ready.status == 200)
                #expect(ready.text.hasPrefix(#"{"status":"ready","models":[{"model":"m","device":"cpu:0","state":"ready","cosine":1.0,"detail":null},"#))
                try await connection.send(Wire.get("/health/live"))
                #expect(try await connection.response().text == "ok\n")
                try await connection.send(Wire.get("/metrics"))
                let metrics = try await connection.response()
                #expect(metrics["content-type"] == "text/plain; version=0.0.4")
                #expect(metrics.text == "# nothing\n")
            }
            var failing = ScriptedCatalog()
            failing.failing = true
            try await TestServer.run(catalog: failing) { server in
                let connection = try await server.connect()
                try await connection.send(Wire.get("/health/ready"))
                let response = try await connection.response()
                #expect(response.status == 503)
                #expect(response.text.hasPrefix(#"{"status":"not_ready""#))
            }
        }
    }
}
