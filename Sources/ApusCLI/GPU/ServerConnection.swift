import ApusErrors
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix

/// Asks a running server over HTTP/1.1, one request a connection.
///
/// On swift-nio, which the server is made of anyway: Foundation's URLSession would bring libcurl into the binary for one request.
struct ServerConnection {
    /// As it was given.
    let url: String
    private let host: String
    private let port: Int
    private let path: String

    struct Answer {
        let status: Int
        let body: [UInt8]
    }

    static let standard = "http://127.0.0.1:8080"

    /// Throws `invalid_value` unless `url` is `http://HOST[:PORT][/PATH]`.
    init(_ url: String) throws(ApusError) {
        guard let parts = URLComponents(string: url), parts.scheme?.lowercased() == "http", let host = parts.host, !host.isEmpty,
            parts.query == nil, parts.fragment == nil, parts.user == nil, (1...65535).contains(parts.port ?? 80)
        else {
            throw ApusError(.invalidValue, "\(url) is no address of a server", place: "--url", advice: "Write it like \(Self.standard)")
        }
        self.url = url
        self.host = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
        port = parts.port ?? 80
        path = String(parts.percentEncodedPath.reversed().drop { $0 == "/" }.reversed())
    }

    /// Throws `server_unreachable` when nobody listens there, and `server_silent` when what listens gives no whole answer in time.
    func request(_ method: HTTPMethod, _ path: String) async throws(ApusError) -> Answer {
        let channel: NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>
        do {
            channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connectTimeout(.seconds(Self.connectSeconds))
                .connect(host: host, port: port) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHTTPClientHandlers()
                        return try NIOAsyncChannel(wrappingChannelSynchronously: channel)
                    }
                }
        } catch {
            throw ApusError(
                .serverUnreachable, "no server answers at \(url)", advice: "Start one with `apus serve`, or name another with --url",
                cause: error)
        }
        do {
            return try await withThrowingTaskGroup(of: Answer.self) { group in
                group.addTask { try await exchange(channel, method, self.path + path) }
                group.addTask {
                    try await Task.sleep(for: .seconds(Self.answerSeconds))
                    throw ApusError(.serverSilent, "it gave no answer within \(Self.answerSeconds) s")
                }
                defer { group.cancelAll() }
                guard let answer = try await group.next() else { throw CancellationError() }
                return answer
            }
        } catch {
            throw ApusError(.serverSilent, "what listens at \(url) gave no whole answer", cause: error)
        }
    }

    private func exchange(
        _ channel: NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>, _ method: HTTPMethod, _ path: String
    ) async throws -> Answer {
        try await channel.executeThenClose { inbound, outbound in
            var headers = HTTPHeaders([("host", host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"), ("connection", "close")])
            if method == .POST { headers.add(name: "content-length", value: "0") }
            try await outbound.write(.head(HTTPRequestHead(version: .http1_1, method: method, uri: path, headers: headers)))
            try await outbound.write(.end(nil))
            var status = 0
            var body: [UInt8] = []
            for try await part in inbound {
                switch part {
                case .head(let head): status = Int(head.status.code)
                case .body(let bytes):
                    body.append(contentsOf: bytes.readableBytesView)
                    guard body.count <= Self.mostBytes else { throw ApusError(.serverSilent, "its answer has no end") }
                case .end: return Answer(status: status, body: body)
                }
            }
            throw ApusError(.serverSilent, "it closed the connection in the middle of its answer")
        }
    }

    private static let connectSeconds: Int64 = 2
    private static let answerSeconds = 10
    private static let mostBytes = 16 << 20
}

extension ApusError.Code {
    static let serverUnreachable = Self(rawValue: "server_unreachable")
    static let serverSilent = Self(rawValue: "server_silent")
}
