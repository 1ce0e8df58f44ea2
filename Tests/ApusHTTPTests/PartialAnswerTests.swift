import ApusJSON
import Testing

extension HTTPTests {
    @Suite("Partial answers")
    struct PartialAnswerTests {
        private func answer(_ body: String, on server: TestServer) async throws -> RawResponse {
            let connection = try await server.connect()
            try await connection.send(Wire.embed(body))
            return try await connection.response()
        }

        @Test("An input that fails alone has its error in its place, byte for byte")
        func oneFails() async throws {
            try await TestServer.run { server in
                let response = try await answer(
                    #"{"model":"m","partial":true,"provenance":true,"dimensions":2,"input":["abc","poison","abc"]}"#, on: server)
                #expect(response.status == 200)
                #expect(response["x-apus-errors"] == "1")
                let good = #""embedding":[0.6,0.8]"#
                let account = #"{"device":"cpu:0","precision":"fp32","fallback":"none","batch_size":3,"padding":0,"cache":"miss","truncated":false,"original_tokens":3,"queue_ms":0.5,"run_ms":1.5}"#
                #expect(
                    response.text
                        == #"{"object":"list","data":[{"object":"embedding","index":0,\#(good)},{"object":"error","index":1,"error":{"message":"it ended its process","type":"server_error","param":null,"code":"request_quarantined"}},{"object":"embedding","index":2,\#(good)}],"model":"m","usage":{"prompt_tokens":6,"total_tokens":6},"provenance":[\#(account),null,\#(account)]}"#
                )
            }
        }

        @Test("Each failure of an input is its own: empty, too long, over 1 MiB, tokens outside the vocabulary",
            arguments: ["float", "base64"])
        func everyKind(encoding: String) async throws {
            let long = String(repeating: "w ", count: 15)
            let huge = String(repeating: "x", count: 1 << 20 + 1)
            try await TestServer.run { server in
                let texts = try await answer(
                    #"{"model":"m","partial":true,"truncate":false,"encoding_format":"\#(encoding)","input":["","\#(long)","ok","\#(huge)"]}"#,
                    on: server)
                #expect(texts.status == 200)
                #expect(texts["x-apus-errors"] == "3")
                #expect(texts["x-apus-truncated"] == "0")
                #expect(
                    try errors(texts) == [
                        "0 empty_input input[0]", "1 context_length_exceeded input[1]", "", "3 string_above_max_length input[3]",
                    ])
                #expect(texts.text.contains(encoding == "float" ? #""embedding":[0.25,0.375,"# : #""embedding":"AACAPg"#))
                let tokens = try await answer(
                    #"{"model":"m","partial":true,"encoding_format":"\#(encoding)","input":[[1],[100],[-1],[],[4294967297],[99]]}"#, on: server)
                #expect(tokens.status == 200)
                #expect(tokens["x-apus-errors"] == "4")
                #expect(
                    try errors(tokens) == [
                        "", "1 invalid_token input[1]", "2 invalid_token input[2]", "3 empty_input input[3]", "4 invalid_token input[4]", "",
                    ])
                #expect(tokens.text.contains("the token id 4294967297 is outside every vocabulary"))
            }
        }

        /// For each entry its index, code and param; an empty text for a vector.
        private func errors(_ response: RawResponse) throws -> [String] {
            try JSONReader(try response.json).array("data").map { entry in
                let reader = try JSONReader(entry)
                guard try reader.string("object") == "error" else { return "" }
                let error = try reader.reader("error")
                return "\(try reader.integer("index")) \(try error.string("code")) \(try error.optionalString("param") ?? "null")"
            }
        }

        @Test("When every input failed, the first error is the answer, with its status")
        func allFail() async throws {
            try await TestServer.run { server in
                let empty = try await answer(#"{"model":"m","partial":true,"input":["","poison"]}"#, on: server)
                #expect(empty.status == 400)
                #expect(try empty.error.code == "empty_input")
                #expect(empty["x-apus-errors"] == nil)
                let poison = try await answer(#"{"model":"m","partial":true,"input":["poison",""]}"#, on: server)
                #expect(poison.status == 500)
                #expect(try poison.error.code == "request_quarantined")
            }
        }

        @Test("Nothing failed: the count is 0. Not asked: one failure is the request's, and there is no count")
        func counts() async throws {
            try await TestServer.run { server in
                let whole = try await answer(#"{"model":"m","partial":true,"input":["a","b"]}"#, on: server)
                #expect(whole["x-apus-errors"] == "0")
                let plain = try await answer(#"{"model":"m","input":["a","b"]}"#, on: server)
                #expect(plain["x-apus-errors"] == nil)
                #expect(plain.text == whole.text)
                for field in ["", #""partial":false,"#] {
                    let failed = try await answer(#"{"model":"m",\#(field)"input":["a","poison"]}"#, on: server)
                    #expect(failed.status == 500)
                    #expect(try failed.error.code == "request_quarantined")
                }
                let wrong = try await answer(#"{"model":"m","partial":1,"input":["a"]}"#, on: server)
                #expect(wrong.status == 400)
                #expect(try wrong.error.param == "partial")
            }
        }

        @Test("What no input can be answered for stays the request's failure")
        func wholeRequest() async throws {
            try await TestServer.run { server in
                for (body, code) in [
                    (#""input":["a",1]"#, "invalid_value"), (#""input":[[1],[1.5]]"#, "invalid_value"), (#""input":[]"#, "empty_input"),
                    (#""input":["a",""],"dimensions":9"#, "invalid_value"),
                ] {
                    let response = try await answer(#"{"model":"m","partial":true,\#(body)}"#, on: server)
                    #expect(response.status == 400, "\(body)")
                    #expect(try response.error.code == code, "\(body)")
                }
            }
        }
    }
}
