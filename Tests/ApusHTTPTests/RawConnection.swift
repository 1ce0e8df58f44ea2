import Glibc
import NIOPosix

/// A client that sends the bytes it is told, right or wrong. Blocking calls run on threads of their own, never on Swift's pool, where
/// they would starve the server under test.
final class RawConnection: Sendable {
    struct Failure: Error, CustomStringConvertible {
        let description: String

        static func system(_ call: String) -> Failure {
            Failure(description: "\(call): errno \(errno)")
        }
    }

    /// More threads than calls that wait on each other.
    private static let threads: NIOThreadPool = {
        let pool = NIOThreadPool(numberOfThreads: 16)
        pool.start()
        return pool
    }()

    private let descriptor: Int32

    private init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        _ = Glibc.close(descriptor)
    }

    /// Goes away in both directions, as a program that ends does. Only the descriptor stays until this value is gone.
    func abandon() {
        _ = Glibc.shutdown(descriptor, Int32(SHUT_RDWR))
    }

    /// - Parameter receiveBuffer: bytes of the socket's receive buffer, to make a slow reader; nil leaves the system's.
    static func open(port: Int, receiveBuffer: Int32? = nil) async throws -> RawConnection {
        try await blocking {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            guard descriptor >= 0 else { throw Failure.system("socket") }
            if var size = receiveBuffer {
                setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
            }
            // A safety net against a test that would hang, far beyond any timeout that a test sets on the server.
            var patience = timeval(tv_sec: 60, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
            setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(UInt16(truncatingIfNeeded: port)).bigEndian
            address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
            let connected = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            guard connected == 0 else {
                let failure = Failure.system("connect")
                _ = Glibc.close(descriptor)
                throw failure
            }
            return RawConnection(descriptor: descriptor)
        }
    }

    /// - Returns: false when the server closed the connection before everything was sent.
    @discardableResult
    func send(_ bytes: [UInt8]) async throws -> Bool {
        try await Self.blocking { [descriptor] in
            var sent = 0
            while sent < bytes.count {
                let count = bytes.withUnsafeBytes { buffer in
                    Glibc.send(descriptor, buffer.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
                }
                if count <= 0 {
                    if errno == EPIPE || errno == ECONNRESET { return false }
                    throw Failure.system("send")
                }
                sent += count
            }
            return true
        }
    }

    @discardableResult
    func send(_ text: String) async throws -> Bool {
        try await send(Array(text.utf8))
    }

    /// Sends no more, and still listens.
    func shutdownSending() {
        _ = Glibc.shutdown(descriptor, Int32(SHUT_WR))
    }

    /// The next answer, read no further than its own end.
    func response(toHead: Bool = false) async throws -> RawResponse {
        let head = try await Self.blocking { [descriptor] in try Self.readHead(descriptor) }
        var response = try RawResponse(head: head)
        if !toHead && response.status >= 200 {
            let length = response.contentLength
            response.body = try await Self.blocking { [descriptor] in try Self.read(descriptor, count: length) }
        }
        return response
    }

    /// Whether the server has closed the connection, with nothing more to read. Waits for it.
    func isClosed() async throws -> Bool {
        try await Self.blocking { [descriptor] in
            var byte: UInt8 = 0
            let count = recv(descriptor, &byte, 1, 0)
            return count == 0 || (count < 0 && errno == ECONNRESET)
        }
    }

    /// Everything until the server closes.
    func drain() async throws -> Int {
        try await Self.blocking { [descriptor] in
            var total = 0
            var chunk = [UInt8](repeating: 0, count: 1 << 16)
            while true {
                let count = recv(descriptor, &chunk, chunk.count, 0)
                if count == 0 || (count < 0 && errno == ECONNRESET) { return total }
                guard count > 0 else { throw Failure.system("recv") }
                total += count
            }
        }
    }

    private static func readHead(_ descriptor: Int32) throws -> [UInt8] {
        var head: [UInt8] = []
        while !head.suffix(4).elementsEqual([13, 10, 13, 10]) {
            head.append(contentsOf: try read(descriptor, count: 1))
        }
        return head
    }

    private static func read(_ descriptor: Int32, count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var received = 0
        while received < count {
            let part = bytes.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress.map { $0 + received }, count - received, 0) }
            guard part > 0 else {
                throw Failure(description: "the connection ended after \(received) of \(count) bytes (errno \(errno))")
            }
            received += part
        }
        return bytes
    }

    private static func blocking<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await threads.runIfActive(body)
    }
}
