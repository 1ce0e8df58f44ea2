import CApusProcess
import Foundation

/// Wakes a thread that waits in `poll`.
final class Waker: Sendable {
    private let near: FrameSocket
    private let far: FrameSocket

    init() throws(FrameFault) {
        (near, far) = try FrameSocket.pair()
    }

    /// What the waiting thread polls for reading.
    var descriptor: Int32 { near.descriptor }

    func wake() {
        var byte: UInt8 = 1
        // A full socket wakes as well as one byte more would.
        _ = apus_socket_send(far.descriptor, &byte, 1, 0)
    }

    func drain() {
        var bytes = [UInt8](repeating: 0, count: 64)
        while recv(near.descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT)) > 0 {}
    }
}
