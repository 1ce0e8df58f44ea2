import ApusErrors
import ApusJSON
import ApusService
import Testing

extension HTTPTests {
    @Suite("Keys")
    struct KeyTests {
        /// Keys named after their scopes: the key of `infer` is `key-infer`.
        static func access() throws -> AccessControl {
            let all = Set(AccessKey.Scope.allCases)
            var keys = try AccessKey.Scope.allCases.map { scope in
                try AccessKey(name: scope.rawValue, sha256: AccessKey.sha256(of: "key-\(scope.rawValue)"), scopes: [scope])
            }
            keys.append(try AccessKey(name: "all", sha256: AccessKey.sha256(of: "key-all"), scopes: all))
            keys.append(
                try AccessKey(
                    name: "slow", sha256: AccessKey.sha256(of: "key-slow"), limits: AccessKey.Limits(requestsPerMinute: 1)))
            return try AccessControl(keys: keys)
        }

        /// A request for each route, right in every way but for the key.
        static func request(_ route: ServiceMetrics.Route, headers: [String]) -> [UInt8] {
            let path = route.rawValue.replacing("devices/{id}", with: "devices/cpu:0").replacing("{id}", with: "m")
                .replacing("{name}", with: "notes")
            switch route {
            case .embeddings: return Wire.embed(#"{"model":"m","input":"good"}"#, headers: headers)
            case .rerank: return Self.post(path, #"{"model":"reranker","query":"q","documents":["d"]}"#, headers)
            case .classify: return Self.post(path, #"{"model":"classifier","input":"good"}"#, headers)
            case .similarity: return Self.post(path, #"{"model":"m","source_sentence":"a","sentences":["b"]}"#, headers)
            case .modelLoad, .modelUnload, .deviceProbe, .deviceClearCache, .devicesClearCache:
                return Wire.request("POST \(path) HTTP/1.1", headers: ["Content-Length: 0"] + headers)
            case .deviceProfile: return Self.post(path, #"{"steps":1}"#, headers)
            case .documentsDelete: return Self.post(path, #"{"ids":["x"]}"#, headers)
            case .collectionSearch: return Self.post(path, #"{"query":"good"}"#, headers)
            case .collectionCompact: return Self.post(path, "{}", headers)
            case .models, .model, .devices, .device, .live, .ready, .metrics, .openAPI, .collections, .collection, .documents, .document:
                return Wire.get(path, headers: headers)
            case .unknown: return Wire.get("/nothing/here", headers: headers)
            }
        }

        private static func post(_ path: String, _ body: String, _ headers: [String]) -> [UInt8] {
            let lines = ["Content-Length: \(body.utf8.count)", "Content-Type: application/json"] + headers
            return Wire.request("POST \(path) HTTP/1.1", headers: lines) + Array(body.utf8)
        }

        private func answer(_ request: [UInt8], from server: TestServer) async throws -> RawResponse {
            let connection = try await server.connect()
            try await connection.send(request)
            return try await connection.response()
        }

        /// Makes the collection and the document that requests to every route speak of.
        private func fill(_ server: TestServer) async throws {
            let key = ["Authorization: Bearer key-infer"]
            let made = try await server.ask(Wire.json("POST", "/v1/collections", #"{"name":"notes","model":"m"}"#, headers: key))
            let body = #"{"documents":[{"id":"m","text":"good"}]}"#
            let stored = try await server.ask(Wire.json("POST", "/v1/collections/notes/documents", body, headers: key))
            #expect(made.status == 201 && stored.status == 200)
        }

        @Test("Only an administrator's key drops a collection; one for asking writes and deletes")
        func dropping() async throws {
            try await TestServer.run(access: try Self.access()) { server in
                try await fill(server)
                for key in ["infer", "metrics"] {
                    let refused = try await server.ask(
                        Wire.request("DELETE /v1/collections/notes HTTP/1.1", headers: ["Authorization: Bearer key-\(key)"]))
                    #expect(refused.status == 403)
                }
                for key in ["admin", "metrics"] {
                    let headers = ["Authorization: Bearer key-\(key)"]
                    for target in ["/v1/collections", "/v1/collections/notes", "/v1/collections/notes/documents", "/v1/collections/notes/documents/m"] {
                        #expect(try await server.ask(Wire.get(target, headers: headers)).status == 403)
                    }
                    #expect(try await server.ask(Wire.request("DELETE /v1/collections/notes/documents/m HTTP/1.1", headers: headers)).status == 403)
                    #expect(try await server.ask(Wire.json("POST", "/v1/collections/notes/search", #"{"query":"x"}"#, headers: headers)).status == 403)
                }
                let gone = try await server.ask(
                    Wire.request("DELETE /v1/collections/notes HTTP/1.1", headers: ["Authorization: Bearer key-admin"]))
                #expect(gone.status == 200 && gone.text == #"{"object":"collection","name":"notes","deleted":true}"#)
            }
        }

        @Test("Every route the router knows, and every path it does not, wants a key; only /health/live does not",
            arguments: ServiceMetrics.Route.allCases)
        func everyRoute(_ route: ServiceMetrics.Route) async throws {
            let strangers = [
                [], ["Authorization: Bearer wrong"], ["Authorization: Bearer"], ["Authorization: key-all"], ["Authorization: Basic a2V5LWFsbA=="],
                ["Authorization: Bearer key-all, Bearer key-all"], ["Authorization: Bearer key-all", "Authorization: Bearer key-all"],
                ["Authorization: Bearer \(String(repeating: "k", count: 10_000))"], ["Authorization: Bearer schl\u{FC}ssel"],
                ["X-Api-Key: key-all"],
            ]
            try await TestServer.run(access: try Self.access()) { server in
                for headers in strangers {
                    let response = try await answer(Self.request(route, headers: headers), from: server)
                    guard route != .live else {
                        #expect(response.status == 200, "\(headers)")
                        continue
                    }
                    #expect(response.status == 401, "\(headers)")
                    #expect(response["www-authenticate"] == "Bearer", "\(headers)")
                    #expect(try response.error.code == "invalid_api_key", "\(headers)")
                    #expect(try response.error.type == "invalid_request_error", "\(headers)")
                    #expect(response["x-request-id"] != nil, "\(headers)")
                }
                try await fill(server)
                // The scheme is the same in any case.
                for scheme in ["Bearer", "bearer", "BEARER "] {
                    let response = try await answer(Self.request(route, headers: ["Authorization: \(scheme) key-all"]), from: server)
                    #expect(response.status == (route == .unknown ? 404 : response.status < 300 ? response.status : 200), "\(scheme)")
                }
            }
        }

        @Test("A key reaches the routes of its scopes and no other", arguments: ServiceMetrics.Route.allCases)
        func scopes(_ route: ServiceMetrics.Route) async throws {
            let reaching: Set<AccessKey.Scope> =
                switch route {
                case .embeddings, .rerank, .classify, .similarity: [.infer]
                case .models, .model: [.infer, .admin]
                case .devices, .device, .metrics: [.metrics, .admin]
                case .modelLoad, .modelUnload, .deviceProbe, .deviceClearCache, .devicesClearCache, .deviceProfile: [.admin]
                case .live, .ready, .openAPI, .unknown: [.infer, .admin, .metrics]
                case .collections, .collection, .documents, .document, .documentsDelete, .collectionSearch, .collectionCompact: [.infer]
                }
            try await TestServer.run(access: try Self.access()) { server in
                try await fill(server)
                for scope in AccessKey.Scope.allCases {
                    let response = try await answer(Self.request(route, headers: ["Authorization: Bearer key-\(scope.rawValue)"]), from: server)
                    if reaching.contains(scope) {
                        #expect(route == .unknown ? response.status == 404 : response.status < 300, "\(scope) \(response.status)")
                    } else {
                        #expect(response.status == 403, "\(scope)")
                        #expect(try response.error.code == "insufficient_scope", "\(scope)")
                        #expect(response["www-authenticate"] == nil, "\(scope)")
                    }
                }
            }
        }

        @Test("A wrong method and a broken target tell a stranger nothing")
        func strangers() async throws {
            try await TestServer.run(access: try Self.access()) { server in
                for line in ["DELETE /v1/models/m", "POST /health/ready", "GET /%zz", "OPTIONS *", "GET /v1//embeddings"] {
                    let request = Wire.request("\(line) HTTP/1.1")
                    #expect(try await answer(request, from: server).status == 401, "\(line)")
                }
                let head = try await server.connect()
                try await head.send(Wire.request("HEAD /v1/models HTTP/1.1"))
                #expect(try await head.response(toHead: true).status == 401)
            }
        }

        @Test("A stranger's body is not waited for, nor asked for")
        func noBody() async throws {
            try await TestServer.run(access: try Self.access()) { server in
                for expectation in [[], ["Expect: 100-continue"]] {
                    for key in [[], ["Authorization: Bearer key-metrics"]] {
                        let connection = try await server.connect()
                        let headers = ["Content-Type: application/json", "Content-Length: 33554432"] + expectation + key
                        try await connection.send(Wire.request("POST /v1/embeddings HTTP/1.1", headers: headers + ["x-request-id: mine"]))
                        let response = try await connection.response()
                        #expect(response.status == (key.isEmpty ? 401 : 403))
                        #expect(response["connection"] == "close")
                        #expect(response["x-request-id"] == "mine")
                        #expect(try await connection.isClosed())
                    }
                }
            }
        }

        @Test("One connection carries requests of several keys, each judged by its own")
        func keepAlive() async throws {
            try await TestServer.run(access: try Self.access()) { server in
                let connection = try await server.connect()
                for key in ["all", "infer", "all"] {
                    try await connection.send(Self.request(.embeddings, headers: ["Authorization: Bearer key-\(key)"]))
                    #expect(try await connection.response().status == 200)
                }
                try await connection.send(Self.request(.embeddings, headers: []))
                #expect(try await connection.response().status == 401)
            }
        }

        @Test("A key over its limit is told when to come back, and others go on")
        func limits() async throws {
            try await TestServer.run(access: try Self.access()) { server in
                let slow = Self.request(.embeddings, headers: ["Authorization: Bearer key-slow"])
                #expect(try await answer(slow, from: server).status == 200)
                let refused = try await answer(slow, from: server)
                #expect(refused.status == 429)
                #expect(try refused.error.code == "rate_limit_exceeded")
                #expect(try refused.error.message.contains("'slow'"))
                let seconds = try #require(refused["retry-after"].flatMap { Int($0) })
                #expect((1...60).contains(seconds))
                #expect(try await answer(Self.request(.embeddings, headers: ["Authorization: Bearer key-infer"]), from: server).status == 200)
            }
        }

        @Test("No key is ever logged, right or wrong")
        func logs() async throws {
            let lines = LogLines()
            try await TestServer.run(access: try Self.access(), logger: lines.logger) { server in
                for key in ["key-all", "key-infer", "wrong-secret"] {
                    for route in ServiceMetrics.Route.allCases {
                        _ = try await answer(Self.request(route, headers: ["Authorization: Bearer \(key)"]), from: server)
                    }
                }
            }
            let text = lines.all.joined(separator: "\n")
            #expect(text.contains("invalid_api_key"))
            #expect(text.contains("request answered"))
            for secret in ["key-", "secret", AccessKey.sha256(of: "key-all")] { #expect(!text.contains(secret), "\(secret)") }
        }
    }
}
