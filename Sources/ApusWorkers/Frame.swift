/// One message between front and worker. Tensors are not in it: they lie in shared memory, where it says.
///
/// On the wire: 24 bytes of header (magic `APUW`, kind, three zeros, sequence number, payload length, four zeros; little-endian), then the
/// payload. The codec is our own because a front must get through whatever a broken worker sends: every length is checked before
/// it is used.
package struct Frame: Equatable, Sendable {
    package enum Kind: UInt8, Sendable, CaseIterable {
        // To the worker, on the control channel.
        /// ``WorkerContract`` as JSON; the first frame of all.
        case configure = 1
        case ping = 2
        /// Four bytes: a model to give up.
        case unload = 3
        /// The worker ends itself.
        case stop = 4

        // To the worker, on the loader channel.
        case load = 16
        case memory = 17
        case clearCache = 18
        /// ``ProfileOrder`` as JSON.
        case profile = 19
        /// What the devices of a group hold and have done.
        case group = 20

        // To the worker, on a lane or the loader channel.
        /// ``StepRequest``.
        case step = 32

        // From the worker.
        /// ``WorkerHello`` as JSON.
        case hello = 64
        /// Eight bytes for each lane: the steps it has ended.
        case pong = 65
        /// ``ModelOutline`` as JSON.
        case loaded = 66
        /// ``DeviceMemory`` as JSON.
        case memoryState = 67
        /// Done, nothing to tell.
        case done = 68
        /// ``TensorPlacement`` of the output.
        case result = 69
        /// ``ApusError`` as JSON.
        case failure = 70
        /// ``GroupState`` as JSON, without stages from a worker of one device.
        case groupState = 71
    }

    package var kind: Kind
    /// An answer carries the number of its request.
    package var sequence: UInt64
    package var payload: [UInt8]

    package init(_ kind: Kind, sequence: UInt64, payload: [UInt8] = []) {
        self.kind = kind
        self.sequence = sequence
        self.payload = payload
    }
}

/// The fixed part of a frame.
package struct FrameHeader: Equatable, Sendable {
    package static let byteCount = 24
    /// The longest payload, 1 MiB.
    package static let payloadLimit = 1 << 20
    static let magic: UInt32 = 0x5755_5041

    package var kind: Frame.Kind
    package var sequence: UInt64
    package var payloadCount: Int

    package init(kind: Frame.Kind, sequence: UInt64, payloadCount: Int) {
        self.kind = kind
        self.sequence = sequence
        self.payloadCount = payloadCount
    }

    /// Reads the first 24 bytes of `bytes`. Throws `malformed` for anything that ``encode(into:)`` does not write.
    package init(_ bytes: UnsafeRawBufferPointer) throws(FrameFault) {
        guard bytes.count >= Self.byteCount else { throw .malformed("a header of \(bytes.count) bytes") }
        func number<Number: FixedWidthInteger>(_ offset: Int, _ type: Number.Type) -> Number {
            Number(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: type))
        }
        guard number(0, UInt32.self) == Self.magic else { throw .malformed("a header with a wrong magic number") }
        guard let kind = Frame.Kind(rawValue: bytes[4]) else { throw .malformed("a frame of unknown kind \(bytes[4])") }
        guard bytes[5] == 0, bytes[6] == 0, bytes[7] == 0, number(20, UInt32.self) == 0 else {
            throw .malformed("a header with bits set that have no meaning")
        }
        let length = number(16, UInt32.self)
        guard length <= UInt32(Self.payloadLimit) else { throw .malformed("a payload of \(length) bytes") }
        self.init(kind: kind, sequence: number(8, UInt64.self), payloadCount: Int(length))
    }

    func encode(into bytes: inout [UInt8]) {
        bytes.append(littleEndian: Self.magic)
        bytes.append(kind.rawValue)
        bytes.append(contentsOf: [0, 0, 0])
        bytes.append(littleEndian: sequence)
        bytes.append(littleEndian: UInt32(truncatingIfNeeded: payloadCount))
        bytes.append(littleEndian: UInt32(0))
    }
}

extension Frame {
    /// The frame as it is sent. Throws `malformed` for a payload over 1 MiB.
    package func encoded() throws(FrameFault) -> [UInt8] {
        guard payload.count <= FrameHeader.payloadLimit else { throw .malformed("a payload of \(payload.count) bytes") }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(FrameHeader.byteCount + payload.count)
        FrameHeader(kind: kind, sequence: sequence, payloadCount: payload.count).encode(into: &bytes)
        bytes += payload
        return bytes
    }
}

extension [UInt8] {
    package mutating func append<Number: FixedWidthInteger>(littleEndian number: Number) {
        Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
    }
}
