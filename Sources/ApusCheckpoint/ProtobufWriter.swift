// Own because all but a few dozen bytes of what is written is copied from a file as it stands there; generated classes would parse and copy every
// weight to write it again.

/// Puts a protobuf message together (https://protobuf.dev/programming-guides/encoding/).
struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    init() {}

    /// - Parameter capacity: bytes that the message will have, about.
    init(capacity: Int) {
        bytes.reserveCapacity(max(0, capacity))
    }

    /// Fields as another message has them.
    mutating func copy(_ fields: UnsafeRawBufferPointer) { bytes.append(contentsOf: fields) }

    mutating func put(_ field: Int, _ value: UInt64) {
        varint(UInt64(field) << 3)
        varint(value)
    }

    mutating func put(_ field: Int, _ content: some Collection<UInt8>) {
        begin(field, byteCount: content.count)
        bytes.append(contentsOf: content)
    }

    /// A message within this one.
    mutating func put(_ field: Int, _ write: (inout ProtobufWriter) -> Void) {
        var inner = ProtobufWriter()
        write(&inner)
        put(field, inner.bytes)
    }

    /// The head of a message of `byteCount` bytes, which are to follow.
    mutating func begin(_ field: Int, byteCount: Int) {
        varint(UInt64(field) << 3 | 2)
        varint(UInt64(byteCount))
    }

    private mutating func varint(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: value))
    }
}
