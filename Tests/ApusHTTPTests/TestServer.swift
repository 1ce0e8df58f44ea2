import ApusErrors
import ApusHTTP
import ApusService
import Logging
import ServiceLifecycle
import Testing

/// A server on a port of the system's choosing, for as long as a closure runs.
struct TestServer: Sendable {
    let port: Int
    let service: InferenceService
    private let group: ServiceGroup

    static func run(
        catalog: ScriptedCatalog = ScriptedCatalog(),
        devices: ScriptedDevices? = ScriptedDevices(),
        collections: (any CollectionSource)? = ScriptedSource(opened: .success(MemoryCollections())),
        collectionLimits: CollectionLimits = .standard,
        limits: HTTPConfiguration.Limits = .init(),
        timeouts: HTTPConfiguration.Timeouts = .init(),
        access: AccessControl = .open,
        logger: Logger? = nil,
        _ body: @escaping @Sendable (TestServer) async throws -> Void
    ) async throws {
        let configuration = try HTTPConfiguration(port: 0, limits: limits, timeouts: timeouts)
        let service = InferenceService(
            catalog: catalog, devices: devices, collections: collections, collectionLimits: collectionLimits, access: access)
        let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let (ports, port) = AsyncStream<Int>.makeStream()
        let server = HTTPServer(
            configuration: configuration, service: service, logger: logger ?? quiet,
            metrics: { (Array("# nothing\n".utf8), "text/plain; version=0.0.4") }
        ) { listening in
            port.yield(listening)
            port.finish()
        }
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: server, successTerminationBehavior: .gracefullyShutdownGroup)], logger: quiet
            )
        )
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { port.finish() }
                try await group.run()
            }
            var iterator = ports.makeAsyncIterator()
            guard let listening = await iterator.next() else {
                try await tasks.waitForAll()
                throw RawConnection.Failure(description: "the server ended before it listened")
            }
            try await body(TestServer(port: listening, service: service, group: group))
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    func connect(receiveBuffer: Int32? = nil) async throws -> RawConnection {
        try await RawConnection.open(port: port, receiveBuffer: receiveBuffer)
    }

    func beginShutdown() async {
        await group.triggerGracefulShutdown()
    }

    /// Sends a request on a connection of its own.
    func ask(_ request: [UInt8]) async throws -> RawResponse {
        let connection = try await connect()
        try await connection.send(request)
        return try await connection.response()
    }

    /// Sends a request that is right in every way, on a connection of its own or on `connection`, and expects its answer.
    func expectGoodAnswer(on connection: RawConnection? = nil, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let used: RawConnection
        if let connection { used = connection } else { used = try await connect() }
        try await used.send(Wire.embed(#"{"model":"m","input":"good"}"#))
        let response = try await used.response()
        #expect(response.status == 200, sourceLocation: sourceLocation)
        #expect(response.text.contains(#""embedding":[0.5,0.625,0.75,0.875,1.0,1.125,1.25,1.375]"#), sourceLocation: sourceLocation)
    }
}

/// Requests as bytes.
enum Wire {
    static func embed(_ body: String, headers: [String] = []) -> [UInt8] {
        embed(Array(body.utf8), headers: headers)
    }

    static func embed(_ body: [UInt8], headers: [String] = []) -> [UInt8] {
        post(body, headers: ["Content-Type: application/json"] + headers)
    }

    static func post(_ body: [UInt8], headers: [String]) -> [UInt8] {
        request("POST /v1/embeddings HTTP/1.1", headers: ["Content-Length: \(body.count)"] + headers) + body
    }

    static func get(_ target: String, headers: [String] = []) -> [UInt8] {
        request("GET \(target) HTTP/1.1", headers: headers)
    }

    /// A request with a JSON body.
    static func json(_ method: String, _ target: String, _ body: String, headers: [String] = []) -> [UInt8] {
        let bytes = Array(body.utf8)
        return request(
            "\(method) \(target) HTTP/1.1", headers: ["Content-Length: \(bytes.count)", "Content-Type: application/json"] + headers) + bytes
    }

    static func request(_ line: String, headers: [String] = []) -> [UInt8] {
        Array(([line, "Host: localhost"] + headers + ["", ""]).joined(separator: "\r\n").utf8)
    }
}
