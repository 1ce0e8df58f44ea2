import ApusErrors
import NIOCore

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

extension HTTPConfiguration {
    /// Binds the address and gives it back, so that whoever has much to start learns beforehand that it could not be served.
    ///
    /// By the system's own calls, because swift-nio binds only to listen, and a socket that listens takes connections: whoever came in that
    /// moment would never be answered.
    ///
    /// - Throws: `ApusError` with `.addressInUse` or `.addressUnavailable` when the port cannot be had.
    package func checkAddress() throws {
        do {
            let address = try SocketAddress.makeAddressResolvingHost(host, port: port)
            let socket = socket(CInt(address.protocol.rawValue), Self.streams, 0)
            guard socket >= 0 else { throw IOError(errnoCode: errno, reason: "socket") }
            defer { close(socket) }
            var reuse: CInt = 1
            guard setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &reuse, socklen_t(MemoryLayout.size(ofValue: reuse))) == 0 else {
                throw IOError(errnoCode: errno, reason: "setsockopt")
            }
            try address.withSockAddr { name, length in
                guard bind(socket, name, socklen_t(length)) == 0 else { throw IOError(errnoCode: errno, reason: "bind") }
            }
        } catch {
            throw explained(error)
        }
    }

    #if canImport(Glibc)
    private static let streams = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
    #elseif canImport(Musl)
    private static let streams = SOCK_STREAM | SOCK_CLOEXEC
    #else
    private static let streams = SOCK_STREAM
    #endif

    /// An error of binding, told by the address.
    func explained(_ error: any Error) -> any Error {
        if error is ApusError || error is CancellationError { return error }
        let address = "\(host):\(port)"
        if (error as? IOError)?.errnoCode == EADDRINUSE {
            return ApusError(
                .addressInUse, "another process already listens on \(address)",
                advice: "Stop it, or choose another port with --port"
            )
        }
        return ApusError(.addressUnavailable, "cannot listen on \(address)", cause: error)
    }
}
