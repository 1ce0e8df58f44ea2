import ApusErrors
import ApusHTTP
import ApusJSON
import ApusService
import ApusStores
import Testing

extension HTTPTests {
    @Suite("Collections")
    struct CollectionRouteTests {
        private static func post(_ target: String, _ body: String, headers: [String] = [], on server: TestServer) async throws -> RawResponse {
            try await server.ask(Wire.json("POST", "/v1/collections" + target, body, headers: headers))
        }

        private static func get(_ target: String, on server: TestServer) async throws -> RawResponse {
            try await server.ask(Wire.get("/v1/collections" + target))
        }

        /// Two documents by `m`, whose vector of a text of n bytes is (n + d) / 8.
        private static func fill(_ server: TestServer) async throws {
            #expect(try await post("", #"{"name":"notes"}"#, on: server).status == 201)
            let documents = #"[{"id":"a","text":"a","metadata":{"year":2020}},{"id":"b/ä","text":"bbbb","metadata":{"year":2024}}]"#
            #expect(try await post("/notes/documents", #"{"documents":\#(documents)}"#, on: server).status == 200)
        }

        @Test("A deadline that has passed is told on every route, and one that is none is refused")
        func deadlines() async throws {
            try await TestServer.run { server in
                try await Self.fill(server)
                for route in ServiceMetrics.Route.allCases where route.rawValue.hasPrefix("/v1/collections") {
                    for (value, status, code) in [("0", 504, "deadline_exceeded"), ("soon", 400, "invalid_value"), ("-1", 400, "invalid_value")] {
                        let refused = try await server.ask(KeyTests.request(route, headers: ["x-apus-timeout-ms: \(value)"]))
                        let error = try? refused.error
                        #expect(refused.status == status && error?.code == code, "\(route) \(value): \(refused.text)")
                    }
                }
                let kept = try await Self.get("/notes/documents", on: server)
                #expect(kept.status == 200 && kept.text.contains(#""id":"a""#))
            }
        }

        @Test("A collection is made for the server's model, or as asked, and told byte for byte")
        func creating() async throws {
            try await TestServer.run { server in
                let made = try await Self.post("", #"{"name":"notes"}"#, on: server)
                let weights = String(repeating: "ab", count: 32)
                let first =
                    #"{"object":"collection","name":"notes","created":1700000000,"dimensions":8,"metric":"cosine","storage":"fp32","model":"m","weights_sha256":"\#(weights)","documents":0,"deleted":0,"bytes":10,"backend":"files"}"#
                #expect(made.status == 201 && made.text == first)
                #expect(try await Self.get("/notes", on: server).text == first)
                let other = try await Self.post(
                    "", #"{"name":"Other.1","model":"wide","dimensions":4,"metric":"dot","storage":"int8"}"#, on: server)
                #expect(other.text.contains(#""dimensions":4,"metric":"dot","storage":"int8","model":"wide""#))
                let bare = try await Self.post("", #"{"name":"bare","model":null,"dimensions":3}"#, on: server)
                #expect(bare.text.contains(#""dimensions":3,"metric":"cosine","storage":"fp32","model":null,"weights_sha256":null"#))
                let list = try await Self.get("", on: server)
                // One that cannot be opened hides no other, and what it says names no path.
                #expect(list.status == 200 && list.text.contains(#"{"object":"error","name":"zz-corrupt","error":{"#))
                #expect(list.text.contains(#""name":"Other.1""#) && list.text.contains(#""name":"notes""#) && list.text.contains("store_corrupt"))
                let corrupt = try await Self.get("/zz-corrupt", on: server)
                #expect(corrupt.status == 503 && corrupt["retry-after"] != nil)
                #expect(!corrupt.text.contains("/secret") && !list.text.contains("/secret"))
                for (body, code, param) in [
                    (#"{"name":"notes"}"#, "collection_exists", "name"), (#"{}"#, "invalid_value", "name"),
                    (#"{"name":".x"}"#, "invalid_value", "name"), (#"{"name":"x","model":"absent"}"#, "model_not_found", "model"),
                    (#"{"name":"x","model":"reranker"}"#, "unsupported_task", "model"), (#"{"name":"x","model":null}"#, "invalid_value", "dimensions"),
                    (#"{"name":"x","dimensions":9}"#, "invalid_value", "dimensions"), (#"{"name":"x","dimensions":0}"#, "invalid_value", "dimensions"),
                    (#"{"name":"x","model":null,"dimensions":65537}"#, "invalid_value", "dimensions"),
                    (#"{"name":"x","metric":"hamming"}"#, "invalid_value", "metric"), (#"{"name":"x","storage":8}"#, "invalid_value", "storage"),
                    (#"{"name":"x","model":"slow-to-load"}"#, "model_loading", "model"),
                ] {
                    let refused = try await Self.post("", body, on: server)
                    let error = try? refused.error
                    #expect(error?.code == code && error?.param == param, "\(body): \(refused.text)")
                }
            }
        }

        @Test("Texts are embedded by the collection's model as at /v1/embeddings, with usage, provenance and headers")
        func writing() async throws {
            try await TestServer.run { server in
                #expect(try await Self.post("", #"{"name":"notes"}"#, on: server).status == 201)
                let body =
                    #"{"documents":[{"id":"a","text":"one two"},{"text":"x"},{"id":"v","vector":[1,2,3,4,5,6,7,8],"text":"kept"},{"text":"x"}],"provenance":true}"#
                let stored = try await Self.post("/notes/documents", body, on: server)
                #expect(stored.status == 200 && stored["x-apus-device"] == "cpu:0" && stored["x-apus-batch"] == "3")
                let json = try stored.json
                // Equal documents without ids are one.
                #expect(try JSONReader(json).integer("added") == 3)
                let ids = try JSONReader(json).array("ids").map { try $0.stringValue(at: "ids") }
                #expect(ids[0] == "a" && ids[2] == "v" && ids[1] == ids[3] && ids[1].hasPrefix("sha256-") && ids[1].utf8.count == 39)
                #expect(stored.text.contains(#""model":"m","usage":{"prompt_tokens":10,"total_tokens":10},"provenance":[{"device":"cpu:0""#))
                // Sent again, nothing is new.
                let again = try await Self.post("/notes/documents", body, on: server)
                #expect(again.text.contains(#""added":0,"replaced":3"#))
                let vector = try await Self.get("/notes/documents/a?include=vector", on: server)
                #expect(vector.text == #"{"object":"document","id":"a","vector":[0.875,1.0,1.125,1.25,1.375,1.5,1.625,1.75]}"#)
                let only = try await Self.post("/notes/documents", #"{"documents":[{"id":"w","vector":[1,2,3,4,5,6,7,8]}],"mode":"add"}"#, on: server)
                #expect(only.text == #"{"object":"write","collection":"notes","added":1,"replaced":0,"ids":["w"],"model":null,"usage":{"prompt_tokens":0,"total_tokens":0}}"#)
                #expect(only["x-apus-device"] == nil)
                let exists = try await Self.post("/notes/documents", #"{"documents":[{"id":"w","text":"x"}],"mode":"add"}"#, on: server)
                #expect(try exists.status == 409 && exists.error.code == "document_exists")
            }
        }

        @Test("A collection may keep shorter vectors than its model makes, of length 1")
        func shorter() async throws {
            try await TestServer.run { server in
                #expect(try await Self.post("", #"{"name":"short","dimensions":2}"#, on: server).status == 201)
                #expect(try await Self.post("/short/documents", #"{"documents":[{"id":"a","text":"aaa"}]}"#, on: server).status == 200)
                // (3, 4) / 8 at length 1.
                #expect(try await Self.get("/short/documents/a?include=vector", on: server).text.contains(#""vector":[0.6,0.8]"#))
                let found = try await Self.post("/short/search", #"{"query":"aaa","include":[]}"#, on: server)
                #expect(found.text.contains(#""hits":[{"object":"document","id":"a","score":1.0"#))
            }
        }

        @Test("Hits come with what was asked for, one list for each query")
        func searching() async throws {
            try await TestServer.run { server in
                try await Self.fill(server)
                let found = try await Self.post("/notes/search", #"{"query":"x","k":1}"#, on: server)
                #expect(found.status == 200 && found["x-apus-device"] == "cpu:0")
                #expect(
                    found.text
                        == #"{"object":"list","collection":"notes","data":[{"object":"search_result","index":0,"hits":[{"object":"document","id":"b/ä","text":"bbbb","metadata":{"year":2024},"score":4.875}]}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}"#
                )
                let vectors = try await Self.post(
                    "/notes/search", #"{"vector":[[1,0,0,0,0,0,0,0],[-1,0,0,0,0,0,0,0]],"include":["vector"],"filter":{"year":{"$lt":2022}}}"#, on: server)
                #expect(vectors.text.contains(#""index":1,"hits":[{"object":"document","id":"a","vector":[0.125,0.25,0.375,0.5,0.625,0.75,0.875,1.0],"score":-0.125}]"#))
                #expect(vectors.text.contains(#""model":null,"usage":{"prompt_tokens":0,"#) && vectors["x-apus-device"] == nil)
                let one = try await Self.post("/notes/search", #"{"vector":[1,0,0,0,0,0,0,0],"include":[]}"#, on: server)
                #expect(one.text.contains(#""hits":[{"object":"document","id":"b/ä","score":0.5},{"object":"document","id":"a","score":0.125}]"#))
            }
        }

        @Test("Bad searches and writes are refused, each naming what is wrong, and nothing is stored")
        func badBodies() async throws {
            let filters = (0..<40).reduce("{}") { inner, _ in #"{"$not":\#(inner)}"# }
            let searches: [(String, String, String?)] = [
                (#"{}"#, "invalid_value", "query"), (#"{"query":"x","vector":[1]}"#, "invalid_value", "query"), (#"{"query":7}"#, "invalid_value", "query"),
                (#"{"query":null}"#, "invalid_value", "query"), (#"{"query":[]}"#, "empty_input", "query"), (#"{"query":""}"#, "empty_input", "query"),
                (#"{"query":["x",""]}"#, "empty_input", "query[1]"), (#"{"query":["x",1]}"#, "invalid_value", "query[1]"),
                (#"{"vector":[]}"#, "empty_input", "vector"), (#"{"vector":[1,2]}"#, "invalid_value", "vector"),
                (#"{"vector":[[1,2,3,4,5,6,7,8],[1]]}"#, "invalid_value", "vector[1]"), (#"{"vector":[1,2,3,4,5,6,7,"8"]}"#, "invalid_value", "vector[7]"),
                (#"{"vector":[1,2,3,4,5,6,7,1e39]}"#, "invalid_value", "vector[7]"), (#"{"vector":[1,2,3,4,5,6,7,1e999]}"#, "invalid_json", nil),
                (#"{"vector":[1,2,3,4,5,6,7,NaN]}"#, "invalid_json", nil), (#"{"query":"x","k":0}"#, "invalid_value", "k"),
                (#"{"query":"x","k":-1}"#, "invalid_value", "k"), (#"{"query":"x","k":1001}"#, "invalid_value", "k"),
                (#"{"query":"x","k":9223372036854775807}"#, "invalid_value", "k"), (#"{"query":"x","k":1e300}"#, "invalid_value", "k"),
                (#"{"query":"x","k":"3"}"#, "invalid_value", "k"), (#"{"query":"x","k":2.5}"#, "invalid_value", "k"),
                (#"{"query":["\#(Array(repeating: "x", count: 20).joined(separator: #"",""#))"],"k":1000}"#, "invalid_value", "k"),
                (#"{"query":"x","include":["secrets"]}"#, "invalid_value", "include"), (#"{"query":"x","include":"text"}"#, "invalid_value", "include"),
                (#"{"query":"x","filter":[]}"#, "invalid_filter", "filter"), (#"{"query":"x","filter":{"$where":1}}"#, "invalid_filter", "filter.$where"),
                (#"{"query":"x","filter":{"$and":[{},{"year":{"$gt":[]}}]}}"#, "invalid_filter", "filter.$and[1].year.$gt"),
                (#"{"query":"x","filter":{"a":"\#(String(repeating: "f", count: 1 << 20))"}}"#, "invalid_filter", "filter"),
                (#"{"query":"x","truncate":1}"#, "invalid_value", "truncate"), ("[]", "invalid_value", nil), ("", "invalid_json", nil),
            ]
            let id = String(repeating: "i", count: 513)
            let writes: [(String, String, String?)] = [
                (#"{}"#, "invalid_value", "documents"), (#"{"documents":[]}"#, "empty_input", "documents"),
                (#"{"documents":{}}"#, "invalid_value", "documents"), (#"{"documents":["x"]}"#, "invalid_value", "documents[0]"),
                (#"{"documents":[{}]}"#, "invalid_value", "documents[0]"), (#"{"documents":[{"text":""}]}"#, "empty_input", "documents[0].text"),
                (#"{"documents":[{"text":null}]}"#, "invalid_value", "documents[0].text"), (#"{"documents":[{"id":7,"text":"x"}]}"#, "invalid_value", "documents[0].id"),
                (#"{"documents":[{"id":"","text":"x"}]}"#, "invalid_value", "documents[0].id"),
                (#"{"documents":[{"id":"a\u0000","text":"x"}]}"#, "invalid_value", "documents[0].id"),
                (#"{"documents":[{"id":"\#(id)","text":"x"}]}"#, "invalid_value", "documents[0].id"),
                (#"{"documents":[{"id":"n","text":"x"},{"id":"n","text":"y"}]}"#, "invalid_value", "documents[1].id"),
                (#"{"documents":[{"id":"n","text":"x"},{"id":"o","vector":[1]}]}"#, "invalid_value", "documents[1].vector"),
                (#"{"documents":[{"id":"n","vector":[1,2,3,4,5,6,7,1e40]}]}"#, "invalid_value", "documents[0].vector[7]"),
                (#"{"documents":[{"id":"n","text":"x","metadata":[]}]}"#, "invalid_value", "documents[0].metadata"),
                (#"{"documents":[{"id":"n","text":"x","metadata":{"a":[[1]]}}]}"#, "invalid_value", "documents[0].metadata.a[0]"),
                (#"{"documents":[{"id":"n","text":"x"}],"mode":"replace"}"#, "invalid_value", "mode"),
                (#"{"documents":[{"id":"n","text":"x"},{"id":"o","text":"poison"}]}"#, "request_quarantined", nil),
                (#"{"documents":[{"id":"n","text":"\#(String(repeating: "a ", count: 40))"}],"truncate":false}"#, "context_length_exceeded", "documents[0].text"),
                (#"{"documents":[\#(Array(repeating: "0", count: 2049).joined(separator: ","))]}"#, "array_above_max_length", "documents"),
            ]
            let deletions: [(String, String, String?)] = [
                (#"{}"#, "invalid_value", "ids"), (#"{"ids":[],"filter":{}}"#, "invalid_value", "ids"), (#"{"ids":[]}"#, "empty_input", "ids"),
                (#"{"ids":"a"}"#, "invalid_value", "ids"), (#"{"ids":["a",1]}"#, "invalid_value", "ids[1]"), (#"{"filter":\#(filters)}"#, "invalid_filter", nil),
            ]
            try await TestServer.run { server in
                try await Self.fill(server)
                for (route, bodies) in [("search", searches), ("documents", writes), ("delete", deletions)] {
                    for (body, code, param) in bodies {
                        let refused = try await Self.post("/notes/\(route)", body, on: server)
                        let error = try refused.error
                        #expect(error.code == code && (param == nil || error.param == param), "\(body.prefix(200)): \(refused.text)")
                        #expect(refused.status == (code == "request_quarantined" ? 500 : 400))
                    }
                    let absent = try await Self.post("/absent/\(route)", #"{"query":"x","documents":[{"text":"x"}],"ids":["x"]}"#, on: server)
                    #expect(try absent.status == 404 && absent.error.code == "collection_not_found")
                    let plain = try await server.ask(
                        Wire.request("POST /v1/collections/notes/\(route) HTTP/1.1", headers: ["Content-Length: 2", "Content-Type: text/plain"]) + [0x7B, 0x7D])
                    #expect(plain.status == 415)
                }
                #expect(try await Self.get("/notes", on: server).text.contains(#""documents":2,"#))
            }
        }

        @Test("Documents are listed page by page and found by ids that hold anything, percent-encoded")
        func documents() async throws {
            try await TestServer.run { server in
                try await Self.fill(server)
                let first = try await Self.get("/notes/documents?limit=1", on: server)
                #expect(first.text == #"{"object":"list","data":[{"object":"document","id":"a","text":"a","metadata":{"year":2020}}],"next":"a"}"#)
                let second = try await Self.get("/notes/documents?limit=1&after=a&include=", on: server)
                #expect(second.text == #"{"object":"list","data":[{"object":"document","id":"b/ä"}],"next":null}"#)
                let filtered = try await Self.get("/notes/documents?filter=%7B%22year%22:+2020%7D&unknown=1", on: server)
                #expect(filtered.text.contains(#""id":"a""#) && !filtered.text.contains("bbbb"))
                #expect(try await Self.get("/notes/documents/b%2F%C3%A4", on: server).text.contains(#""text":"bbbb""#))
                for (target, status, code) in [
                    ("?limit=0", 400, "invalid_value"), ("?limit=1001", 400, "invalid_value"), ("?limit=x", 400, "invalid_value"), ("?limit=", 400, "invalid_value"),
                    ("?limit=99999999999999999999", 400, "invalid_value"), ("?limit=1&limit=2", 400, "invalid_value"), ("?include=all", 400, "invalid_value"),
                    ("?filter=%7B", 400, "invalid_filter"), ("?filter=%7B%22$x%22:1%7D", 400, "invalid_filter"), ("?after=%zz", 400, "invalid_request"),
                    ("?after=%ff", 400, "invalid_request"), ("/b/%C3%A4", 404, "not_found"), ("/", 404, "not_found"), ("/absent", 404, "document_not_found"),
                    ("/a%00", 400, "invalid_request"), ("/a%01", 400, "invalid_value"), ("/\(String(repeating: "i", count: 513))", 400, "invalid_value"),
                    ("/b%2Fa%CC%88", 404, "document_not_found"),
                ] {
                    let refused = try await Self.get("/notes/documents\(target)", on: server)
                    #expect(try refused.status == status && refused.error.code == code, "\(target): \(refused.text)")
                }
                let gone = try await server.ask(Wire.request("DELETE /v1/collections/notes/documents/b%2f%c3%a4 HTTP/1.1"))
                #expect(gone.status == 200 && gone.text == #"{"object":"deletion","collection":"notes","deleted":1}"#)
                let again = try await server.ask(Wire.request("DELETE /v1/collections/notes/documents/b%2f%c3%a4 HTTP/1.1"))
                #expect(try again.status == 404 && again.error.param == "id")
                #expect(try await Self.post("/notes/delete", #"{"ids":["a","zz"]}"#, on: server).text.contains(#""deleted":1"#))
                #expect(try await Self.post("/notes/compact", "", on: server).text == #"{"object":"compaction","collection":"notes","removed":0,"bytes_before":20,"bytes_after":10}"#)
            }
        }

        @Test("Names that are no names are refused on every route, and other methods with what is allowed")
        func badNames() async throws {
            try await TestServer.run { server in
                try await Self.fill(server)
                for name in ["..", "%2e%2e", "a%2Fb", "a%20b", "%C3%A4", ".hidden", String(repeating: "n", count: 65)] {
                    for (method, rest) in [("GET", ""), ("DELETE", ""), ("GET", "/documents"), ("POST", "/compact")] {
                        let refused = try await server.ask(Wire.request("\(method) /v1/collections/\(name)\(rest) HTTP/1.1", headers: ["Content-Length: 0"]))
                        #expect(try refused.status == 400 && refused.error.code == "invalid_value" && refused.error.param == "collection", "\(method) \(name)")
                    }
                }
                for (target, allowed) in [
                    ("", "GET, HEAD, POST"), ("/notes", "GET, HEAD, DELETE"), ("/notes/documents", "GET, HEAD, POST"), ("/notes/documents/a", "GET, HEAD, DELETE"),
                    ("/notes/search", "POST"), ("/notes/compact", "POST"), ("/notes/delete", "POST"),
                ] {
                    let refused = try await server.ask(Wire.request("PATCH /v1/collections\(target) HTTP/1.1", headers: ["Content-Length: 0"]))
                    #expect(refused.status == 405 && refused["allow"] == allowed, "\(target)")
                }
                for target in ["/", "//documents", "/notes/", "/notes/search/", "/notes/documents/a/b", "/notes/other"] {
                    #expect(try await Self.get(target, on: server).status == 404, "\(target)")
                }
            }
        }

        @Test("Searches beyond those that run and wait are told when to come back, and go on for the others", .timeLimit(.minutes(2)))
        func overload() async throws {
            let gate = Gate()
            let source = ScriptedSource(opened: .success(MemoryCollections(gate: gate)))
            let limits = try CollectionLimits(running: 1, waiting: 1)
            try await TestServer.run(collections: source, collectionLimits: limits) { server in
                try await Self.fill(server)
                let search = Wire.json("POST", "/v1/collections/notes/search", #"{"vector":[1,0,0,0,0,0,0,0]}"#)
                var events = gate.events.makeAsyncIterator()
                let running = try await server.connect()
                try await running.send(search)
                #expect(await events.next() == .arrived)
                let late = try await server.ask(
                    Wire.json("POST", "/v1/collections/notes/search", #"{"vector":[1,0,0,0,0,0,0,0]}"#, headers: ["x-apus-timeout-ms: 50"]))
                #expect(try late.status == 504 && late.error.code == "deadline_exceeded")
                // Of two more one waits, whichever came first, and the other is refused.
                let pair = [try await server.connect(), try await server.connect()]
                for connection in pair { try await connection.send(search) }
                try await withThrowingTaskGroup(of: RawResponse.self) { group in
                    for connection in pair { group.addTask { try await connection.response() } }
                    let first = try #require(try await group.next())
                    #expect(try first.status == 503 && first.error.code == "overloaded" && first["retry-after"] != nil)
                    #expect(try await Self.get("/notes", on: server).status == 200)
                    try await server.expectGoodAnswer()
                    gate.open()
                    #expect(try await running.response().status == 200)
                    gate.open()
                    #expect(try await group.next()?.status == 200)
                }
            }
        }

        @Test("A client that goes away takes its search with it", .timeLimit(.minutes(2)))
        func goingAway() async throws {
            let gate = Gate()
            let source = ScriptedSource(opened: .success(MemoryCollections(gate: gate)))
            let limits = try CollectionLimits(running: 1, waiting: 1)
            try await TestServer.run(collections: source, collectionLimits: limits) { server in
                try await Self.fill(server)
                let search = Wire.json("POST", "/v1/collections/notes/search", #"{"vector":[1,0,0,0,0,0,0,0]}"#)
                var events = gate.events.makeAsyncIterator()
                let first = try await server.connect()
                try await first.send(search)
                #expect(await events.next() == .arrived)
                first.abandon()
                #expect(await events.next() == .cancelled)
                let next = try await server.connect()
                try await next.send(search)
                #expect(await events.next() == .arrived)
                next.abandon()
                #expect(await events.next() == .cancelled)
            }
        }

        @Test("A store that cannot be had is told as such and disturbs nothing else", arguments: [ApusError.Code.storeUnavailable, .storeCorrupt])
        func unavailable(_ code: ApusError.Code) async throws {
            let failure = ApusError(code, "the data folder is in use by process 7", place: "/secret/folder")
            try await TestServer.run(collections: ScriptedSource(opened: .failure(failure))) { server in
                for request in [
                    Wire.get("/v1/collections"), Wire.get("/v1/collections/notes"), Wire.get("/v1/collections/notes/documents/a"),
                    Wire.json("POST", "/v1/collections", #"{"name":"notes"}"#),
                    Wire.json("POST", "/v1/collections/notes/documents", #"{"documents":[{"text":"x"}]}"#),
                    Wire.json("POST", "/v1/collections/notes/search", #"{"query":"x"}"#), Wire.request("DELETE /v1/collections/notes HTTP/1.1"),
                ] {
                    let refused = try await server.ask(request)
                    #expect(try refused.status == 503 && refused.error.code == code.rawValue && refused.error.type == "server_error")
                    #expect(refused["retry-after"] != nil && !refused.text.contains("/secret"))
                }
                try await server.expectGoodAnswer()
            }
            try await TestServer.run(collections: nil) { server in
                let none = try await server.ask(Wire.get("/v1/collections"))
                #expect(try none.status == 404 && none.error.code == "not_found")
            }
        }

        @Test("A collection of another model's vectors takes no texts, and vectors still")
        func mismatch() async throws {
            let store = MemoryCollections()
            let other = try CollectionSettings(dimensions: 8, model: "m", weights: String(repeating: "cd", count: 32))
            let gone = try CollectionSettings(dimensions: 8, model: "gone", weights: String(repeating: "cd", count: 32))
            let twin = try CollectionSettings(dimensions: 8, model: "renamed", weights: String(repeating: "ab", count: 32))
            let bare = try CollectionSettings(dimensions: 8)
            for (name, settings) in [("other", other), ("gone", gone), ("twin", twin), ("bare", bare)] {
                _ = try await store.create(try CollectionName(name), settings)
            }
            try await TestServer.run(collections: ScriptedSource(opened: .success(store))) { server in
                for name in ["other", "gone"] {
                    let search = try await Self.post("/\(name)/search", #"{"query":"x"}"#, on: server)
                    #expect(try search.status == 409 && search.error.code == "model_mismatch")
                    let write = try await Self.post("/\(name)/documents", #"{"documents":[{"text":"x"}]}"#, on: server)
                    #expect(try write.status == 409 && write.error.code == "model_mismatch")
                    #expect(try await Self.post("/\(name)/search", #"{"vector":[1,0,0,0,0,0,0,0]}"#, on: server).status == 200)
                }
                // The same weights under another name make the same vectors.
                #expect(try await Self.post("/twin/search", #"{"query":"x"}"#, on: server).text.contains(#""model":"m""#))
                let none = try await Self.post("/bare/search", #"{"query":"x"}"#, on: server)
                #expect(try none.status == 400 && none.error.code == "invalid_value" && none.error.param == "query")
            }
        }

        @Test("While the server drains, collections are refused as everything else is")
        func draining() async throws {
            try await TestServer.run { server in
                try await Self.fill(server)
                let connection = try await server.connect()
                let request = Wire.json("POST", "/v1/collections/notes/search", #"{"query":"x"}"#)
                try await connection.send(Array(request.dropLast(3)))
                // By the time that this is answered the head has arrived.
                try await server.expectGoodAnswer()
                await server.beginShutdown()
                while !server.service.isDraining { await Task.yield() }
                try await connection.send(Array(request.suffix(3)))
                let refused = try await connection.response()
                #expect(try refused.status == 503 && refused.error.code == "shutting_down")
            }
        }
    }
}
