import ApusErrors
import NIOCore
import NIOPosix

extension HTTPConfiguration {
    /// Binds the address and gives it back, so that whoever has much to start learns beforehand that it could not be served.
    ///
    /// - Throws: `ApusError` with `.addressInUse` or `.addressUnavailable` when the port cannot be had.
    package func checkAddress() async throws {
        do {
            let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .bind(host: host, port: port).get()
            try await channel.close()
        } catch {
            throw explained(error)
        }
    }

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
