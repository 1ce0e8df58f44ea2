import ApusErrors
import ApusHTTP
import ApusService
import Logging
import NIOCore
import NIOPosix
import Testing

extension HTTPTests {
    @Suite("Starting and stopping")
    struct DrainTests {
        @Test("Shutdown answers what is in flight, refuses what is still arriving and closes what is idle")
        func drain() async throws {
            let gate = Gate()
            try await TestServer.run(catalog: ScriptedCatalog(gate: gate)) { server in
                let inFlight = try await server.connect()
                try await inFlight.send(Wire.embed(#"{"model":"org/gated","input":"good"}"#))
                var events = gate.events.makeAsyncIterator()
                #expect(await events.next() == .arrived)

                let arriving = try await server.connect()
                let late = Wire.embed(#"{"model":"m","input":"good"}"#)
                try await arriving.send(Array(late.dropLast(5)))
                let probing = try await server.connect()
                try await probing.send("GET /health/ready HTTP/1.1\r\nHost: x\r\n")
                let idle = try await server.connect()
                try await server.expectGoodAnswer(on: idle)

                await server.beginShutdown()
                #expect(try await idle.isClosed())
                while !server.service.isDraining { await Task.yield() }

                try await arriving.send(Array(late.suffix(5)))
                let refused = try await arriving.response()
                #expect(refused.status == 503)
                #expect(try refused.error.code == "shutting_down")
                #expect(refused["connection"] == "close")
                #expect(refused["retry-after"] == "1")
                #expect(try await arriving.isClosed())

                try await probing.send("\r\n")
                let readiness = try await probing.response()
                #expect(readiness.status == 503)
                #expect(readiness.text.contains(#""status":"draining""#))

                await #expect(throws: RawConnection.Failure.self) { try await server.connect() }

                gate.open()
                let answer = try await inFlight.response()
                #expect(answer.status == 200)
                #expect(answer["connection"] == "close")
                #expect(try await inFlight.isClosed())
            }
        }

        @Test("What is not done when the drain time is over is cut off")
        func drainLimit() async throws {
            let gate = Gate()
            var timeouts = HTTPConfiguration.Timeouts()
            timeouts.drain = .milliseconds(100)
            try await TestServer.run(catalog: ScriptedCatalog(gate: gate), timeouts: timeouts) { server in
                let connection = try await server.connect()
                try await connection.send(Wire.embed(#"{"model":"org/gated","input":"x"}"#))
                var events = gate.events.makeAsyncIterator()
                #expect(await events.next() == .arrived)
                await server.beginShutdown()
                #expect(await events.next() == .cancelled)
                #expect(try await connection.isClosed())
            }
        }

        @Test("A port in use, and an address that is not ours, are told in one line")
        func portInUse() async throws {
            try await TestServer.run { server in
                let second = HTTPServer(
                    configuration: try HTTPConfiguration(port: server.port), service: server.service,
                    logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, metrics: { ([], "text/plain") }
                )
                let inUse = await #expect(throws: ApusError.self) { try await second.run() }
                #expect(inUse?.code == .addressInUse)
                #expect(inUse?.description.contains("127.0.0.1:\(server.port)") == true)
                #expect(inUse?.description.contains("\n") == false)

                let before = #expect(throws: ApusError.self) { try HTTPConfiguration(port: server.port).checkAddress() }
                #expect(before?.description == inUse?.description)

                let foreign = HTTPServer(
                    configuration: try HTTPConfiguration(host: "192.0.2.1", port: 0), service: server.service,
                    logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, metrics: { ([], "text/plain") }
                )
                let unavailable = await #expect(throws: ApusError.self) { try await foreign.run() }
                #expect(unavailable?.code == .addressUnavailable)
                try await server.expectGoodAnswer()
            }
        }

        @Test("Looking whether an address can be had takes no connection, which nobody would answer")
        func addressCheckDoesNotListen() async throws {
            let taken = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).bind(host: "127.0.0.1", port: 0).get()
            let port = try #require(taken.localAddress?.port)
            try await taken.close()
            let configuration = try HTTPConfiguration(port: port)
            let client = Task {
                var connected = 0
                while !Task.isCancelled {
                    guard let channel = try? await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                        .connect(host: "127.0.0.1", port: port).get()
                    else { continue }
                    // A port may connect to itself where both ends get the same number.
                    if channel.localAddress != channel.remoteAddress { connected += 1 }
                    try? await channel.close()
                }
                return connected
            }
            for _ in 0..<200 {
                try? configuration.checkAddress()
                await Task.yield()
            }
            client.cancel()
            #expect(await client.value == 0)
        }

        @Test("A server whose task is cancelled drains, and has nothing to complain about")
        func cancelled() async throws {
            let complaints = Complaints()
            let service = InferenceService(catalog: ScriptedCatalog(), devices: ScriptedDevices())
            let (ports, port) = AsyncStream<Int>.makeStream()
            let server = HTTPServer(
                configuration: try HTTPConfiguration(port: 0), service: service, logger: complaints.logger,
                metrics: { ([], "text/plain") }
            ) { port.yield($0) }
            let running = Task { try await server.runUntilSignalled() }
            var iterator = ports.makeAsyncIterator()
            let listening = try #require(await iterator.next())
            // One that has said nothing yet.
            let silent = try await RawConnection.open(port: listening)
            running.cancel()
            try await running.value
            #expect(try await silent.isClosed())
            #expect(service.isDraining)
            #expect(complaints.all == [])
        }

        @Test("A configuration out of range names its key")
        func configuration() throws {
            func key(_ make: () throws -> HTTPConfiguration) -> String? {
                do {
                    _ = try make()
                    return nil
                } catch let error as ApusError {
                    return error.code == .invalidConfiguration ? error.place : error.code.rawValue
                } catch {
                    return "\(error)"
                }
            }
            func limits(_ change: (inout HTTPConfiguration.Limits) -> Void) -> HTTPConfiguration.Limits {
                var limits = HTTPConfiguration.Limits()
                change(&limits)
                return limits
            }
            func timeouts(_ change: (inout HTTPConfiguration.Timeouts) -> Void) -> HTTPConfiguration.Timeouts {
                var timeouts = HTTPConfiguration.Timeouts()
                change(&timeouts)
                return timeouts
            }
            #expect(key { try HTTPConfiguration() } == nil)
            #expect(key { try HTTPConfiguration(host: "") } == "server.host")
            #expect(key { try HTTPConfiguration(host: "a b") } == "server.host")
            #expect(key { try HTTPConfiguration(port: -1) } == "server.port")
            #expect(key { try HTTPConfiguration(port: 65536) } == "server.port")
            #expect(key { try HTTPConfiguration(eventLoopThreads: 0) } == "server.event_loop_threads")
            #expect(key { try HTTPConfiguration(limits: limits { $0.bodyBytes = 0 }) } == "limits.body_bytes")
            #expect(key { try HTTPConfiguration(limits: limits { $0.totalBodyBytes = 1 }) } == "limits.total_body_bytes")
            #expect(key { try HTTPConfiguration(limits: limits { $0.headerBytes = .max }) } == "limits.header_bytes")
            #expect(key { try HTTPConfiguration(limits: limits { $0.headerFields = 0 }) } == "limits.header_fields")
            #expect(key { try HTTPConfiguration(limits: limits { $0.targetBytes = 1 << 20 }) } == "limits.target_bytes")
            #expect(key { try HTTPConfiguration(limits: limits { $0.connections = 0 }) } == "limits.connections")
            #expect(key { try HTTPConfiguration(limits: limits { $0.slowestReader = 0 }) } == "limits.slowest_reader")
            #expect(key { try HTTPConfiguration(timeouts: timeouts { $0.header = .zero }) } == "server.timeouts.header")
            #expect(key { try HTTPConfiguration(timeouts: timeouts { $0.drain = .seconds(100_000) }) } == "server.timeouts.drain")
        }
    }
}
