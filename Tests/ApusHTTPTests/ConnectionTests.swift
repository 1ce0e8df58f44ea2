import ApusErrors
import ApusHTTP
import ApusService
import Testing

extension HTTPTests {
    @Suite("Connections")
    struct ConnectionTests {
        @Test("A header block that trickles in is cut off by its total deadline", arguments: ["", "GET", "GET /health/live HTTP/1.1\r\nHost: x\r\n"])
        func slowHeader(start: String) async throws {
            var timeouts = HTTPConfiguration.Timeouts()
            timeouts.header = .milliseconds(200)
            try await TestServer.run(timeouts: timeouts) { server in
                let connection = try await server.connect()
                try await connection.send(start)
                let response = try await connection.response()
                #expect(response.status == 408)
                #expect(try response.error.code == "request_timeout")
                #expect(response["connection"] == "close")
                connection.shutdownSending()
                #expect(try await connection.isClosed())
                try await server.expectGoodAnswer()
            }
        }

        @Test("A header that gets a byte now and then is not granted more time for it")
        func dripOfHeader() async throws {
            var timeouts = HTTPConfiguration.Timeouts()
            timeouts.header = .milliseconds(200)
            try await TestServer.run(timeouts: timeouts) { server in
                let connection = try await server.connect()
                try await connection.send("GET /health/live HTTP/1.1\r\nx: ")
                #expect(try await Self.drip(on: connection).status == 408)
            }
        }

        @Test("The second request of a connection has its own header deadline")
        func slowSecondHeader() async throws {
            var timeouts = HTTPConfiguration.Timeouts()
            timeouts.header = .milliseconds(200)
            try await TestServer.run(timeouts: timeouts) { server in
                let connection = try await server.connect()
                try await server.expectGoodAnswer(on: connection)
                try await connection.send("GET /he")
                #expect(try await connection.response().status == 408)
            }
        }

        @Test("A body that gets a byte now and then is cut off by its total deadline")
        func dripOfBody() async throws {
            var timeouts = HTTPConfiguration.Timeouts()
            timeouts.body = .milliseconds(200)
            try await TestServer.run(timeouts: timeouts) { server in
                let connection = try await server.connect()
                try await connection.send(Wire.request("POST /v1/embeddings HTTP/1.1", headers: ["Content-Length: 1000000"]))
                let response = try await Self.drip(on: connection)
                #expect(response.status == 408)
                #expect(try response.error.code == "request_timeout")
                try await server.expectGoodAnswer()
            }
        }

        /// Sends a byte every few milliseconds until there is an answer.
        private static func drip(on connection: RawConnection) async throws -> RawResponse {
            try await withThrowingTaskGroup(of: RawResponse?.self) { group in
                group.addTask { try await connection.response() }
                group.addTask {
                    while !Task.isCancelled, try await connection.send("x") {
                        try? await Task.sleep(for: .milliseconds(10))
                    }
                    return nil
                }
                defer { group.cancelAll() }
                for try await response in group {
                    if let response { return response }
                }
                throw RawConnection.Failure(description: "there was no answer")
            }
        }

        @Test("An idle connection is closed without a word")
        func idle() async throws {
            var timeouts = HTTPConfiguration.Timeouts()
            timeouts.idle = .milliseconds(100)
            try await TestServer.run(timeouts: timeouts) { server in
                let connection = try await server.connect()
                try await server.expectGoodAnswer(on: connection)
                #expect(try await connection.isClosed())
            }
        }

        @Test("A refused client that keeps sending gets its answer, and is then cut off")
        func linger() async throws {
            var limits = HTTPConfiguration.Limits()
            limits.bodyBytes = 1000
            var timeouts = HTTPConfiguration.Timeouts()
            timeouts.linger = .milliseconds(100)
            try await TestServer.run(limits: limits, timeouts: timeouts) { server in
                let connection = try await server.connect()
                let body = [UInt8](repeating: 0x20, count: 4_000_000)
                async let sent = connection.send(Wire.embed(body))
                let response = try await connection.response()
                #expect(response.status == 413)
                #expect(try response.error.code == "body_too_large")
                _ = try await sent
                #expect(try await connection.isClosed())
                try await server.expectGoodAnswer()
            }
        }

        @Test("A chunked body counts by its contents, and is refused as soon as they are too many")
        func chunks() async throws {
            var limits = HTTPConfiguration.Limits()
            limits.bodyBytes = 100_000
            try await TestServer.run(limits: limits) { server in
                let chunked = Wire.request(
                    "POST /v1/embeddings HTTP/1.1", headers: ["Transfer-Encoding: chunked", "Content-Type: application/json"]
                )
                let connection = try await server.connect()
                try await connection.send(chunked)
                for byte in #"{"model":"m","input":"good"}"#.utf8 {
                    try await connection.send("1\r\n" + String(UnicodeScalar(byte)) + "\r\n")
                }
                try await connection.send("0\r\n\r\n")
                #expect(try await connection.response().status == 200)

                let tiny = Array(repeating: "1\r\nx\r\n", count: 110_000).joined()
                try await connection.send(chunked)
                try await connection.send(tiny)
                #expect(try await connection.response().status == 413)

                let large = try await server.connect()
                try await large.send(chunked)
                try await large.send("FFFFFFF\r\n" + String(repeating: "x", count: 100_001))
                #expect(try await large.response().status == 413)

                let padded = try await server.connect()
                try await padded.send(chunked)
                let extensions = Array(repeating: "1;" + String(repeating: "e", count: 1000) + "\r\nx\r\n", count: 1200).joined()
                async let sent = padded.send(extensions)
                #expect(try await padded.response().status == 413)
                _ = try await sent
                try await server.expectGoodAnswer()
            }
        }

        @Test("Bodies that together take more than the budget are told to come back, and their room is given back")
        func bodyBudget() async throws {
            var limits = HTTPConfiguration.Limits()
            limits.bodyBytes = 10_000
            limits.totalBodyBytes = 10_000
            let gate = Gate()
            try await TestServer.run(catalog: ScriptedCatalog(gate: gate), limits: limits) { server in
                let text = String(repeating: "x", count: 6000)
                let holder = try await server.connect()
                try await holder.send(Wire.embed(#"{"model":"org/gated","input":"\#(text)"}"#))
                var events = gate.events.makeAsyncIterator()
                #expect(await events.next() == .arrived)

                let refused = try await server.connect()
                try await refused.send(Wire.embed(#"{"model":"m","input":"\#(text)"}"#))
                let response = try await refused.response()
                #expect(response.status == 503)
                #expect(try response.error.code == "overloaded")
                #expect(response["retry-after"] == "1")
                try await server.expectGoodAnswer()

                gate.open()
                #expect(try await holder.response().status == 200)
                let next = try await server.connect()
                try await next.send(Wire.embed(#"{"model":"m","input":"\#(text)"}"#))
                #expect(try await next.response().status == 200)
            }
        }

        @Test("A body shorter than its length is a fault once the client stops sending")
        func shortBody() async throws {
            try await TestServer.run { server in
                let connection = try await server.connect()
                try await connection.send(Wire.request("POST /v1/embeddings HTTP/1.1", headers: ["Content-Length: 50"]) + Array("{".utf8))
                connection.shutdownSending()
                let response = try await connection.response()
                #expect(response.status == 400)
                #expect(try response.error.code == "invalid_request")
                #expect(try await connection.isClosed())
                try await server.expectGoodAnswer()
            }
        }

        @Test("A body longer than its length is taken for a second request, and refused as that")
        func longBody() async throws {
            try await TestServer.run { server in
                let connection = try await server.connect()
                try await connection.send(Wire.embed(#"{"model":"m","input":"good"}"#) + Array("}}}".utf8))
                #expect(try await connection.response().status == 200)
                let second = try await connection.response()
                #expect(second.status == 400)
                #expect(second["connection"] == "close")
            }
        }

        @Test("A client that takes no answer is cut off, and its place goes to the next")
        func slowReader() async throws {
            var limits = HTTPConfiguration.Limits()
            limits.connections = 1
            limits.slowestReader = 1 << 30
            var timeouts = HTTPConfiguration.Timeouts()
            timeouts.write = .milliseconds(200)
            try await TestServer.run(limits: limits, timeouts: timeouts) { server in
                let slow = try await server.connect(receiveBuffer: 4096)
                // Connections that arrive in one burst are accepted together, a few beyond the limit; this one is to be there first.
                try await server.expectGoodAnswer(on: slow)
                let inputs = Array(repeating: #""x""#, count: 2048).joined(separator: ",")
                try await slow.send(Wire.embed(#"{"model":"wide","input":[\#(inputs)]}"#))
                // Accepted only once the first connection is gone.
                try await server.expectGoodAnswer()
                #expect(try await slow.drain() < 2048 * 384 * 6)
            }
        }

        @Test("A client that goes away cancels its request", arguments: [true, false])
        func abort(entirely: Bool) async throws {
            let gate = Gate()
            try await TestServer.run(catalog: ScriptedCatalog(gate: gate)) { server in
                let connection = try await server.connect()
                try await connection.send(Wire.embed(#"{"model":"org/gated","input":"x"}"#))
                var events = gate.events.makeAsyncIterator()
                #expect(await events.next() == .arrived)
                if entirely { connection.abandon() } else { connection.shutdownSending() }
                #expect(await events.next() == .cancelled)
                #expect(try await connection.isClosed())
                try await server.expectGoodAnswer()
            }
        }

        @Test("A client that only stops sending still gets the answer to what needs no waiting")
        func halfClose() async throws {
            try await TestServer.run { server in
                let connection = try await server.connect()
                try await connection.send(Wire.get("/health/live") + Wire.get("/v1/models/m"))
                connection.shutdownSending()
                #expect(try await connection.response().status == 200)
                #expect(try await connection.response().status == 200)
                #expect(try await connection.isClosed())
            }
        }

        @Test("Requests sent without waiting are all answered, in order")
        func pipelining() async throws {
            try await TestServer.run { server in
                let connection = try await server.connect()
                let paths = ["/health/live", "/nothing", "/v1/models"]
                let flood = (0..<6000).flatMap { Wire.get(paths[$0 % 3]) }
                async let sent = connection.send(flood)
                for index in 0..<6000 {
                    let status = try await connection.response().status
                    guard status == (index % 3 == 1 ? 404 : 200) else {
                        Issue.record("answer \(index) was \(status)")
                        break
                    }
                }
                _ = try await sent
                try await server.expectGoodAnswer(on: connection)
            }
        }

        @Test("What cannot be parsed behind a good request is refused after that one's answer")
        func faultInPipeline() async throws {
            try await TestServer.run { server in
                let connection = try await server.connect()
                try await connection.send(Wire.get("/health/live") + Array("nonsense\r\n\r\n".utf8))
                #expect(try await connection.response().status == 200)
                #expect(try await connection.response().status == 400)
                connection.shutdownSending()
                #expect(try await connection.isClosed())
            }
        }

        @Test("HTTP/1.0, Connection: close and Upgrade end the connection, keep-alive does not")
        func persistence() async throws {
            try await TestServer.run { server in
                let old = try await server.connect()
                try await old.send("GET /health/live HTTP/1.0\r\n\r\n")
                #expect(try await old.response()["connection"] == "close")
                #expect(try await old.isClosed())

                let kept = try await server.connect()
                try await kept.send("GET /health/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                #expect(try await kept.response()["connection"] == "keep-alive")
                try await server.expectGoodAnswer(on: kept)

                for header in ["Connection: close", "Connection: upgrade\r\nUpgrade: websocket", "Connection: upgrade\r\nUpgrade: h2c"] {
                    let connection = try await server.connect()
                    try await connection.send(Wire.get("/health/live", headers: [header]))
                    let response = try await connection.response()
                    #expect(response.status == 200)
                    #expect(response["connection"] == "close")
                    #expect(try await connection.isClosed())
                }
            }
        }

        @Test("A client that asks before it sends a body is told to go on")
        func expectContinue() async throws {
            try await TestServer.run { server in
                let body = #"{"model":"m","input":"good"}"#
                let connection = try await server.connect()
                try await connection.send(
                    Wire.request(
                        "POST /v1/embeddings HTTP/1.1",
                        headers: ["Content-Type: application/json", "Content-Length: \(body.utf8.count)", "Expect: 100-continue"]
                    )
                )
                #expect(try await connection.response().status == 100)
                try await connection.send(body)
                #expect(try await connection.response().status == 200)

                try await connection.send(
                    Wire.request("POST /v1/embeddings HTTP/1.1", headers: ["Content-Length: 99999999", "Expect: 100-continue"])
                )
                #expect(try await connection.response().status == 413)
            }
        }

        @Test("A HEAD request gets the headers of GET and no body")
        func head() async throws {
            try await TestServer.run { server in
                let connection = try await server.connect()
                try await connection.send(Wire.request("HEAD /health/live HTTP/1.1"))
                let response = try await connection.response(toHead: true)
                #expect(response.status == 200)
                #expect(response["content-length"] == "3")
                try await server.expectGoodAnswer(on: connection)
            }
        }

        @Test("A deadline that has passed, or passes while waiting, is answered 504, and the work is cancelled")
        func deadline() async throws {
            let gate = Gate()
            try await TestServer.run(catalog: ScriptedCatalog(gate: gate)) { server in
                let connection = try await server.connect()
                try await connection.send(Wire.embed(#"{"model":"m","input":"x"}"#, headers: ["x-apus-timeout-ms: 0"]))
                let past = try await connection.response()
                #expect(past.status == 504)
                #expect(try past.error.code == "deadline_exceeded")
                #expect(try past.error.type == "server_error")

                try await connection.send(Wire.embed(#"{"model":"org/gated","input":"x"}"#, headers: ["x-apus-timeout-ms: 30"]))
                #expect(try await connection.response().status == 504)
                var events = gate.events.makeAsyncIterator()
                #expect(await events.next() == .arrived)
                #expect(await events.next() == .cancelled)
                try await server.expectGoodAnswer(on: connection)
            }
        }
    }
}
