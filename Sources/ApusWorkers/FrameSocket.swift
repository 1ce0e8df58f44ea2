import CApusProcess
import Foundation

/// One end of a connection between front and worker. Closed with the last reference.
///
/// One thread at a time receives; whoever sends holds a lock of its own over the socket, or is that thread.
package final class FrameSocket: Sendable {
    package enum Waiting: Sendable {
        case forever
        /// `EAGAIN` instead of waiting.
        case not
    }

    package let descriptor: Int32

    /// Takes the descriptor over.
    package init(owning descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// Two connected ends.
    package static func pair() throws(FrameFault) -> (FrameSocket, FrameSocket) {
        var ends: [Int32] = [-1, -1]
        let result = apus_socket_pair(&ends)
        guard result == 0 else { throw .system(-result) }
        return (FrameSocket(owning: ends[0]), FrameSocket(owning: ends[1]))
    }

    deinit {
        close(descriptor)
    }

    package func send(_ frame: Frame, waiting: Waiting = .forever) throws(FrameFault) {
        let bytes = try frame.encoded()
        let waits: Int32 = waiting == .forever ? 1 : 0
        try bytes.withUnsafeBytes { buffer in
            Result { () throws(FrameFault) in try Self.send(buffer, descriptor, waits) }
        }.get()
    }

    private static func send(_ buffer: UnsafeRawBufferPointer, _ descriptor: Int32, _ waits: Int32) throws(FrameFault) {
        var rest = buffer
        while let start = rest.baseAddress, !rest.isEmpty {
            // Only a whole frame may be left unsent: once begun it is finished.
            let sent = apus_socket_send(descriptor, start, rest.count, rest.count == buffer.count ? waits : 1)
            if sent == -Int(EINTR) { continue }
            guard sent >= 0 else {
                throw sent == -Int(EPIPE) || sent == -Int(ECONNRESET) ? .closed : .system(Int32(truncatingIfNeeded: -sent))
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[sent...])
        }
    }

    /// Waits for the next frame.
    package func receive(_ decoder: inout FrameDecoder) throws(FrameFault) -> Frame {
        while true {
            if let frame = try decoder.next() { return frame }
            try fill(&decoder, flags: 0)
        }
    }

    /// The next frame that is here already; nil when there is none.
    package func receiveAvailable(_ decoder: inout FrameDecoder) throws(FrameFault) -> Frame? {
        while true {
            if let frame = try decoder.next() { return frame }
            do throws(FrameFault) {
                try fill(&decoder, flags: Int32(MSG_DONTWAIT))
            } catch .system(EAGAIN) {
                return nil
            }
        }
    }

    private func fill(_ decoder: inout FrameDecoder, flags: Int32) throws(FrameFault) {
        while true {
            let count = decoder.fill { recv(descriptor, $0.baseAddress, $0.count, flags) }
            if count > 0 { return }
            guard count < 0 else { throw .closed }
            let error = errno
            if error == EINTR { continue }
            throw error == ECONNRESET ? .closed : .system(error)
        }
    }

    /// Wakes whoever waits here; nothing passes any more.
    package func shut() {
        shutdown(descriptor, Int32(SHUT_RDWR))
    }
}
