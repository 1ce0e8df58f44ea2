/// Cuts a stream of bytes into frames.
///
/// Holds what has arrived and no more than one frame of the greatest length beyond it.
package struct FrameDecoder: Sendable {
    private var buffer: [UInt8]
    /// The part of `buffer` that is not yet handed out.
    private var pending: Range<Int> = 0..<0

    private static let smallestRoom = 4096

    package init() {
        buffer = [UInt8](repeating: 0, count: 4 * Self.smallestRoom)
    }

    /// Lets `read` put bytes behind those that are here; it returns how many it put.
    package mutating func fill(_ read: (UnsafeMutableRawBufferPointer) -> Int) -> Int {
        if pending.isEmpty { pending = 0..<0 }
        if buffer.count - pending.upperBound < Self.smallestRoom {
            buffer.removeSubrange(0..<pending.lowerBound)
            pending = 0..<pending.count
            let wanted = pending.count + 4 * Self.smallestRoom
            if buffer.count < wanted { buffer.append(contentsOf: repeatElement(0, count: wanted - buffer.count)) }
        }
        let start = pending.upperBound
        let count = buffer.withUnsafeMutableBytes { read(UnsafeMutableRawBufferPointer(rebasing: $0[start...])) }
        let room = buffer.count - start
        if count > 0 { pending = pending.lowerBound..<(start + min(count, room)) }
        return count
    }

    /// The next whole frame; nil when more bytes are needed. Throws `malformed`, and then again on every call.
    package mutating func next() throws(FrameFault) -> Frame? {
        guard pending.count >= FrameHeader.byteCount else { return nil }
        let window = pending
        let header = try buffer.withUnsafeBytes { bytes in
            Result { () throws(FrameFault) in try FrameHeader(UnsafeRawBufferPointer(rebasing: bytes[window])) }
        }.get()
        guard pending.count - FrameHeader.byteCount >= header.payloadCount else { return nil }
        let start = pending.lowerBound + FrameHeader.byteCount
        let end = start + header.payloadCount
        pending = end..<pending.upperBound
        return Frame(header.kind, sequence: header.sequence, payload: Array(buffer[start..<end]))
    }
}
