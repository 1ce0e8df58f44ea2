import ApusErrors
import ApusHTTP
import ApusService
import Testing

extension HTTPTests {
    @Suite("Requests that find no room are told so by their heads alone")
    struct TurnedAwayTests {
        private static let everyone = Set(EmbeddingOptions.Priority.allCases)

        private static func expectRefusal(_ response: RawResponse, closes: Bool = false) throws {
            #expect(response.status == 503)
            #expect(try response.error.code == "overloaded")
            #expect(response["retry-after"] == "3")
            #expect(response["connection"] == (closes ? "close" : nil))
            #expect(response["x-request-id"] != nil)
        }

        @Test("The body is not looked at, and the connection goes on to a request that finds room")
        func goesOn() async throws {
            let catalog = ScriptedCatalog()
            for crowd in [catalog.crowd, catalog.wideCrowd] { crowd.fill(Self.everyone) }
            try await TestServer.run(catalog: catalog) { server in
                let connection = try await server.connect()
                // Two in one packet, one in pieces.
                try await connection.send(Wire.embed("no JSON") + Wire.embed(#"{"model":"m","input":"x"}"#))
                for _ in 0..<2 { try Self.expectRefusal(try await connection.response()) }
                let request = Wire.embed(#"{"model":"m","input":"good"}"#)
                try await connection.send(Array(request.dropLast(9)))
                try await connection.send(Array(request.suffix(9)))
                try Self.expectRefusal(try await connection.response())
                catalog.crowd.fill([])
                try await connection.send(request)
                #expect(try await connection.response().status == 200)
            }
        }

        @Test("A body that is not worth reading ends its connection, answered before it has arrived")
        func largeBodies() async throws {
            let catalog = ScriptedCatalog()
            for crowd in [catalog.crowd, catalog.wideCrowd] { crowd.fill(Self.everyone) }
            try await TestServer.run(catalog: catalog) { server in
                let announced = try await server.connect()
                try await announced.send(
                    Wire.request("POST /v1/embeddings HTTP/1.1", headers: ["Content-Length: 1000000"]) + [UInt8](repeating: 0x20, count: 70_000))
                try Self.expectRefusal(try await announced.response(), closes: true)
                #expect(try await announced.isClosed())
                let asking = try await server.connect()
                try await asking.send(
                    Wire.request("POST /v1/embeddings HTTP/1.1", headers: ["Content-Length: 10", "Expect: 100-continue"]))
                try Self.expectRefusal(try await asking.response(), closes: true)
            }
        }

        @Test("Whoever may find room is read: other classes, other models, other routes, and requests that are wrong anyway")
        func othersAreRead() async throws {
            let catalog = ScriptedCatalog()
            catalog.crowd.fill(Self.everyone)
            catalog.wideCrowd.fill([.low, .medium])
            try await TestServer.run(catalog: catalog) { server in
                let connection = try await server.connect()
                func status(_ request: [UInt8]) async throws -> Int {
                    try await connection.send(request)
                    return try await connection.response().status
                }
                let wide = #"{"model":"wide","input":"x"}"#
                #expect(try await status(Wire.embed(wide)) == 503)
                #expect(try await status(Wire.embed(wide, headers: ["x-apus-priority: low"])) == 503)
                #expect(try await status(Wire.embed(wide, headers: ["x-apus-priority: high"])) == 200)
                #expect(try await status(Wire.embed(wide, headers: ["x-apus-priority: urgent"])) == 400)
                #expect(try await status(Wire.get("/v1/models")) == 200)
                #expect(try await status(Wire.get("/v1/embeddings")) == 405)
            }
        }
    }
}
