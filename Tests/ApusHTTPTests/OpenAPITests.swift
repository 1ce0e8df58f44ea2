import ApusHTTP
import ApusJSON
import ApusService
import Testing

extension HTTPTests {
    @Suite("The OpenAPI document")
    struct OpenAPITests {
        private func document(_ access: AccessControl = .open) async throws -> JSONObject {
            let box = Box()
            try await TestServer.run(access: access) { server in
                let response = try await server.ask(Wire.get("/openapi.json", headers: ["Authorization: Bearer key-all"]))
                #expect(response.status == 200 && response["content-type"] == "application/json")
                box.set(try response.json)
            }
            return try #require(box.value)
        }

        private static let methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"]

        @Test("It has every route the server has, with the methods that it answers, and no other")
        func routes() async throws {
            let paths = try JSONReader(try await document()).reader("paths").object
            let known = Set(ServiceMetrics.Route.allCases.map(\.rawValue)).subtracting(["unknown"])
            #expect(Set(paths.entries.map(\.key)) == known)
            try await TestServer.run { server in
                for (path, item) in paths.entries {
                    let described = try item.objectValue(at: path).entries.map(\.key)
                    #expect(!described.isEmpty && described.allSatisfy(Self.methods.contains))
                    let target = path.replacing("{id}", with: "cpu:0").replacing("{name}", with: "notes")
                    for method in Self.methods {
                        let request = Wire.request("\(method.uppercased()) \(target) HTTP/1.1", headers: ["Content-Length: 0"])
                        let connection = try await server.connect()
                        try await connection.send(request)
                        let response = try await connection.response(toHead: method == "head")
                        let isAnswered = described.contains(method) || method == "head" && described.contains("get")
                        #expect((response.status != 405) == isAnswered, "\(method) \(path): \(response.status)")
                        if !isAnswered {
                            let allowed = described.map { $0 == "get" ? "GET, HEAD" : $0.uppercased() }
                            #expect(response["allow"] == allowed.joined(separator: ", "), "\(method) \(path)")
                        }
                    }
                }
            }
        }

        @Test("Every reference leads somewhere, and every operation has a name of its own, answers and the refusals that all have")
        func references() async throws {
            let document = try await document()
            var names: Set<String> = []
            for (path, item) in try JSONReader(document).reader("paths").object.entries {
                for (method, operation) in try item.objectValue(at: path).entries {
                    let reader = JSONReader(try operation.objectValue(at: path))
                    #expect(names.insert(try reader.string("operationId")).inserted, "\(path) \(method)")
                    let answers = Set(try reader.reader("responses").object.entries.map(\.key))
                    #expect(answers.isSuperset(of: ["400", "408", "413", "414", "431", "500", "503"]), "\(path) \(method): \(answers)")
                    #expect(answers.contains { $0.hasPrefix("2") })
                    #expect(answers.contains("401") == (path != "/health/live"), "\(path) \(method)")
                    let parameters = try reader.array("parameters").map { try $0.objectValue(at: "parameter")["name"]?.stringValue(at: "name") }
                    for part in path.matches(of: /\{(\w+)\}/) { #expect(parameters.contains(String(part.1)), "\(path) \(method)") }
                }
            }
            var references = 0
            Self.visit(.object(document)) { object in
                guard case .string(let reference)? = object["$ref"] else { return }
                references += 1
                var found: JSONValue? = .object(document)
                for name in reference.dropFirst(2).split(separator: "/") {
                    if case .object(let inner)? = found { found = inner[String(name)] } else { found = nil }
                }
                #expect(reference.hasPrefix("#/") && found != nil, "\(reference)")
            }
            #expect(references > 50)
        }

        @Test("Where keys are wanted it says so of every route but /health/live")
        func security() async throws {
            for (access, isOptional) in [(AccessControl.open, true), (try KeyTests.access(), false)] {
                for (path, item) in try JSONReader(try await document(access)).reader("paths").object.entries {
                    for (_, operation) in try item.objectValue(at: path).entries {
                        let choices = try JSONReader(try operation.objectValue(at: path)).array("security")
                        #expect(choices.count == (path == "/health/live" ? 0 : isOptional ? 2 : 1), "\(path)")
                    }
                }
            }
        }

        @Test("Its examples are requests that the server takes")
        func examples() async throws {
            // The models of the examples, as this server's are called, and documents that the examples speak of.
            let models = ["\"all-MiniLM-L6-v2\"": "\"wide\"", "\"ms-marco-MiniLM-L6-v2\"": "\"reranker\"", "\"sentiment\"": "\"classifier\""]
            let document = try await document()
            try await TestServer.run { server in
                let made = try await server.ask(Wire.json("POST", "/v1/collections", #"{"name":"filled","model":"wide"}"#))
                #expect(made.status == 201)
                var count = 0
                for (path, item) in try JSONReader(document).reader("paths").object.entries {
                    for (method, operation) in try item.objectValue(at: path).entries {
                        guard let body = try JSONReader(try operation.objectValue(at: path)).optionalReader("requestBody") else { continue }
                        let examples = try body.reader("content").reader("application/json").reader("examples").object
                        #expect(examples.count > 0, "\(path)")
                        for (name, example) in examples.entries {
                            var writer = JSONWriter()
                            writer.value(try JSONReader(try example.objectValue(at: name)).required("value"))
                            var text = String(decoding: writer.bytes, as: UTF8.self)
                            for (from, to) in models { text = text.replacing(from, with: to) }
                            let target = path.replacing("{id}", with: "cpu:0").replacing("{name}", with: "filled")
                            // Token ids of the default model are none of the scripted one's hundred.
                            if name.hasPrefix("tokens") { text = text.replacing("26619", with: "9").replacing("3637", with: "8").replacing("101", with: "1").replacing("102", with: "2") }
                            let response = try await server.ask(Wire.json(method.uppercased(), target, text))
                            #expect((200..<300).contains(response.status), "\(path) \(name): \(response.text)")
                            count += 1
                        }
                    }
                }
                #expect(count >= 20)
            }
        }

        private static func visit(_ value: JSONValue, _ body: (JSONObject) -> Void) {
            switch value {
            case .object(let object):
                body(object)
                for (_, member) in object.entries { visit(member, body) }
            case .array(let elements): for element in elements { visit(element, body) }
            default: break
            }
        }
    }
}
