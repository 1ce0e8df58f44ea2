import ApusHTTP
import ApusJSON
import ApusService
import Testing

extension HTTPTests {
    @Suite("Rerank, classify and similarity")
    struct ScoringRouteTests {
        private func ask(_ route: String, _ body: String, headers: [String] = [], on server: TestServer) async throws -> RawResponse {
            let connection = try await server.connect()
            let bytes = Array(body.utf8)
            try await connection.send(
                Wire.request(
                    "POST /v1/\(route) HTTP/1.1", headers: ["Content-Length: \(bytes.count)", "Content-Type: application/json"] + headers) + bytes)
            return try await connection.response()
        }

        @Test("Documents come in the order of their scores, equal ones as they were, byte for byte")
        func ranks() async throws {
            try await TestServer.run { server in
                let body = #"{"model":"reranker","query":"q","documents":["a",{"text":"bbb"},"cc","dd"],"return_documents":true,"top_n":3}"#
                let response = try await ask("rerank", body, on: server)
                #expect(response.status == 200)
                #expect(
                    response.text
                        == #"{"object":"list","model":"reranker","results":[{"index":1,"relevance_score":0.25,"document":{"text":"bbb"}},{"index":2,"relevance_score":0.1875,"document":{"text":"cc"}},{"index":3,"relevance_score":0.1875,"document":{"text":"dd"}}],"usage":{"prompt_tokens":20,"total_tokens":20},"meta":{"tokens":{"input_tokens":20}}}"#
                )
                #expect(response["x-apus-device"] == "cpu:0" && response["x-apus-batch"] == "4" && response["x-apus-truncated"] == "0")
                #expect(response["x-apus-errors"] == nil)
                let raw = try await ask("rerank", #"{"model":"reranker","query":"q","documents":["a"],"raw_scores":true,"top_n":99}"#, on: server)
                #expect(raw.text.contains(#""results":[{"index":0,"relevance_score":0.25}]"#))
                let told = try await ask(
                    "rerank", #"{"model":"reranker","query":"q","documents":["a","b"]}"#, headers: ["x-apus-provenance: 1"], on: server)
                #expect(told.text.contains(#""provenance":[{"device":"cpu:0","#))
            }
        }

        @Test("Documents that fail alone stand behind the others with their errors")
        func rankingInPart() async throws {
            try await TestServer.run { server in
                let body = #"{"model":"reranker","query":"q","partial":true,"top_n":1,"provenance":true,"documents":["poison","a","","bb"]}"#
                let response = try await ask("rerank", body, on: server)
                #expect(response.status == 200 && response["x-apus-errors"] == "2")
                #expect(
                    response.text.contains(
                        #""results":[{"index":3,"relevance_score":0.1875},{"index":0,"error":{"message":"it ended its process","type":"server_error","param":null,"code":"request_quarantined"}},{"index":2,"error":{"message":"documents[2]: document 2 is empty","type":"invalid_request_error","param":"documents[2]","code":"empty_input"}}]"#
                    ))
                #expect(response.text.contains(#""provenance":[null,{"#))
            }
        }

        @Test("Labels come in the order of their scores")
        func classifies() async throws {
            try await TestServer.run { server in
                let response = try await ask("classify", #"{"model":"classifier","input":["abcd",["a","b"],{"text":"x","text_pair":"yy"}],"top_k":2}"#, on: server)
                #expect(response.status == 200)
                func entry(_ index: Int, _ best: String, _ next: String) -> String {
                    #"{"object":"classification","index":\#(index),"prediction":"high","score":\#(best),"predictions":[{"label":"high","score":\#(best)},{"label":"middle","score":\#(next)}]}"#
                }
                #expect(
                    response.text
                        == #"{"object":"list","model":"classifier","data":[\#(entry(0, "0.375", "0.3125")),\#(entry(1, "0.25", "0.1875")),\#(entry(2, "0.3125", "0.25"))],"usage":{"prompt_tokens":13,"total_tokens":13}}"#
                )
                let one = try await ask("classify", #"{"model":"classifier","input":"ab","raw_scores":true}"#, on: server)
                #expect(one.text.contains(#""prediction":"high","score":0.5,"#))
                let partial = try await ask("classify", #"{"model":"classifier","partial":true,"input":["a","",["b","poison"]]}"#, on: server)
                #expect(partial.status == 200 && partial["x-apus-errors"] == "2")
                #expect(partial.text.contains(#"{"object":"error","index":1,"error":{"message":"input[1]: input 1 is empty","#))
                #expect(partial.text.contains(#"{"object":"error","index":2,"error":{"message":"it ended its process","#))
            }
        }

        @Test("Cosines of one source are a list, of several a matrix; the members may stand in an object of their own")
        func compares() async throws {
            try await TestServer.run { server in
                let one = try await ask("similarity", #"{"model":"m","source_sentence":"abc","sentences":["abc","def"]}"#, on: server)
                #expect(one.status == 200)
                let scores = try JSONReader(try one.json).array("scores").map { try $0.numberValue(at: "scores") }
                #expect(scores.count == 2 && scores.allSatisfy { abs($0 - 1) < 1e-6 })
                let several = try await ask(
                    "similarity", #"{"model":"m","inputs":{"source_sentence":["abc","a"],"sentences":["abc"]}}"#, on: server)
                let rows = try JSONReader(try several.json).array("scores").map { try $0.arrayValue(at: "scores").map { try $0.numberValue(at: "scores") } }
                // Element d of a text of n bytes is (n + d) / 8.
                let (a, b) = ((0..<8).map { Double(3 + $0) }, (0..<8).map { Double(1 + $0) })
                func dot(_ x: [Double], _ y: [Double]) -> Double { zip(x, y).reduce(0) { $0 + $1.0 * $1.1 } }
                let expected = dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
                #expect(rows.count == 2 && rows[0].count == 1 && abs(rows[0][0] - 1) < 1e-6 && abs(rows[1][0] - expected) < 1e-6)
            }
        }

        @Test("What is wrong is said of the member that it is wrong with", arguments: [
            ("rerank", #"{"query":"q","documents":["a"]}"#, "invalid_value model"),
            ("rerank", #"{"model":"reranker","documents":["a"]}"#, "invalid_value query"),
            ("rerank", #"{"model":"reranker","query":"q"}"#, "invalid_value documents"),
            ("rerank", #"{"model":"reranker","query":7,"documents":["a"]}"#, "invalid_value query"),
            ("rerank", #"{"model":"reranker","query":"","documents":["a"]}"#, "empty_input query"),
            ("rerank", #"{"model":"reranker","query":"q","documents":[]}"#, "empty_input documents"),
            ("rerank", #"{"model":"reranker","query":"q","documents":"a"}"#, "invalid_value documents"),
            ("rerank", #"{"model":"reranker","query":"q","documents":["a",""]}"#, "empty_input documents[1]"),
            ("rerank", #"{"model":"reranker","query":"q","documents":["a",7]}"#, "invalid_value documents[1]"),
            ("rerank", #"{"model":"reranker","query":"q","documents":["a",null]}"#, "invalid_value documents[1]"),
            ("rerank", #"{"model":"reranker","query":"q","documents":[{"text":7}]}"#, "invalid_value documents[0]"),
            ("rerank", #"{"model":"reranker","query":"q","documents":[{"txt":"a"}]}"#, "invalid_value documents[0]"),
            ("rerank", #"{"model":"reranker","query":"q","documents":["a"],"top_n":0}"#, "invalid_value top_n"),
            ("rerank", #"{"model":"reranker","query":"q","documents":["a"],"top_n":-1}"#, "invalid_value top_n"),
            ("rerank", #"{"model":"reranker","query":"q","documents":["a"],"top_n":1.5}"#, "invalid_value top_n"),
            ("rerank", #"{"model":"reranker","query":"q","documents":["a"],"return_documents":1}"#, "invalid_value return_documents"),
            ("rerank", #"{"model":"reranker","query":"q","documents":["a"],"raw_scores":"no"}"#, "invalid_value raw_scores"),
            ("rerank", #"{"model":"reranker","query":"q","documents":["a","poison"]}"#, "request_quarantined null"),
            ("rerank", #"{"model":"reranker","query":"q","truncate":false,"documents":["w w w w w w w w w w w w w w w w"]}"#, "context_length_exceeded documents"),
            ("rerank", #"{"model":"m","query":"q","documents":["a"]}"#, "unsupported_task model"),
            ("rerank", #"{"model":"classifier","query":"q","documents":["a"]}"#, "unsupported_task model"),
            ("rerank", #"{"model":"none","query":"q","documents":["a"]}"#, "model_not_found model"),
            ("rerank", #"["a"]"#, "invalid_value null"), ("rerank", #"{"model":"#, "invalid_json null"), ("rerank", "", "invalid_json null"),
            ("classify", #"{"model":"classifier"}"#, "invalid_value input"), ("classify", #"{"model":"classifier","input":[]}"#, "empty_input input"),
            ("classify", #"{"model":"classifier","input":""}"#, "empty_input input"),
            ("classify", #"{"model":"classifier","input":[["a"]]}"#, "invalid_value input[0]"),
            ("classify", #"{"model":"classifier","input":["a",["a","b","c"]]}"#, "invalid_value input[1]"),
            ("classify", #"{"model":"classifier","input":[1,2]}"#, "invalid_value input[0]"),
            ("classify", #"{"model":"classifier","input":{"text":"a","text_pair":null}}"#, "invalid_value input"),
            ("classify", #"{"model":"classifier","input":[["a",""]]}"#, "empty_input input"),
            ("classify", #"{"model":"classifier","input":"a","top_k":0}"#, "invalid_value top_k"),
            ("classify", #"{"model":"reranker","input":"a"}"#, "unsupported_task model"),
            ("classify", #"{"model":"m","input":"a"}"#, "unsupported_task model"),
            ("similarity", #"{"model":"m","sentences":["a"]}"#, "invalid_value source_sentence"),
            ("similarity", #"{"model":"m","source_sentence":"a"}"#, "invalid_value sentences"),
            ("similarity", #"{"model":"m","source_sentence":"a","sentences":[]}"#, "empty_input sentences"),
            ("similarity", #"{"model":"m","source_sentence":[],"sentences":["a"]}"#, "empty_input source_sentence"),
            ("similarity", #"{"model":"m","source_sentence":"","sentences":["a"]}"#, "empty_input source_sentence"),
            ("similarity", #"{"model":"m","source_sentence":"a","sentences":["b",""]}"#, "empty_input sentences"),
            ("similarity", #"{"model":"m","inputs":[],"sentences":["b"]}"#, "invalid_value inputs"),
            ("similarity", #"{"model":"reranker","source_sentence":"a","sentences":["b"]}"#, "unsupported_task model"),
        ])
        func refuses(_ row: (route: String, body: String, error: String)) async throws {
            try await TestServer.run { server in
                let response = try await ask(row.route, row.body, on: server)
                let error = try JSONReader(try response.json).reader("error")
                #expect("\(try error.string("code")) \(try error.optionalString("param") ?? "null")" == row.error)
                let status = ["request_quarantined": 500, "model_not_found": 404][try error.string("code")] ?? 400
                #expect(response.status == status)
                try await server.expectGoodAnswer()
            }
        }

        @Test("More documents than a request may hold are refused before they are looked at", arguments: ["rerank", "classify", "similarity"])
        func tooMany(_ route: String) async throws {
            let list = "[" + Array(repeating: "7", count: 100_000).joined(separator: ",") + "]"
            let (body, field) =
                switch route {
                case "rerank": (#"{"model":"reranker","query":"q","documents":\#(list)}"#, "documents")
                case "classify": (#"{"model":"classifier","input":\#(list)}"#, "input")
                default: (#"{"model":"m","source_sentence":"a","sentences":\#(list)}"#, "sentences")
                }
            try await TestServer.run { server in
                let response = try await ask(route, body, on: server)
                #expect(response.status == 400)
                #expect(try response.error.code == "array_above_max_length")
                #expect(try response.error.param == field)
            }
        }

        @Test("The methods of these paths are POST, and their media type is JSON", arguments: ["rerank", "classify", "similarity"])
        func methods(_ route: String) async throws {
            try await TestServer.run { server in
                let connection = try await server.connect()
                try await connection.send(Wire.get("/v1/\(route)"))
                let response = try await connection.response()
                #expect(response.status == 405 && response["allow"] == "POST")
                let bytes = Array("{}".utf8)
                try await connection.send(
                    Wire.request("POST /v1/\(route) HTTP/1.1", headers: ["Content-Length: 2", "Content-Type: text/plain"]) + bytes)
                #expect(try await connection.response().status == 415)
            }
        }

        @Test("A full queue of embeddings does not turn away who asks for something else")
        func room() async throws {
            let catalog = ScriptedCatalog()
            for crowd in [catalog.crowd, catalog.wideCrowd] { crowd.fill(Set(EmbeddingOptions.Priority.allCases)) }
            try await TestServer.run(catalog: catalog) { server in
                let ranked = try await ask("rerank", #"{"model":"reranker","query":"q","documents":["a"]}"#, on: server)
                #expect(ranked.status == 200)
                let compared = try await ask("similarity", #"{"model":"m","source_sentence":"a","sentences":["b"]}"#, on: server)
                #expect(compared.status == 503)
                #expect(try compared.error.code == "overloaded")
            }
        }

        @Test("Models tell their task and their labels")
        func models() async throws {
            try await TestServer.run { server in
                let connection = try await server.connect()
                try await connection.send(Wire.get("/v1/models/classifier"))
                let text = try await connection.response().text
                #expect(text.contains(#""task":"classify","dimensions":null,"labels":["low","middle","high"],"#))
                try await connection.send(Wire.get("/v1/models/m"))
                #expect(try await connection.response().text.contains(#""task":"embedding","dimensions":8,"max_tokens""#))
            }
        }
    }
}
