// Own because nothing here needs a schema: one question (which tensors lie outside the file?) is asked of a format whose encoding is four wire
// types, and generated ONNX classes would copy every weight of the file into memory to answer it.

/// Reads the fields of one protobuf message in place (https://protobuf.dev/programming-guides/encoding/).
struct ProtobufReader {
    enum Field {
        case number(UInt64)
        case bytes(UnsafeRawBufferPointer)
        /// Four or eight bytes; nothing that is asked for here is stored so.
        case fixed
    }

    /// The bytes are no message of the format.
    struct Malformed: Error {}

    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// The next field's number and content, or nil at the end.
    mutating func next() throws(Malformed) -> (number: Int, field: Field)? {
        guard position < bytes.count else { return nil }
        let tag = try varint()
        guard tag >> 3 >= 1, tag >> 3 < 1 << 29 else { throw Malformed() }
        let number = Int(tag >> 3)
        switch tag & 7 {
        case 0:
            return (number, .number(try varint()))
        case 1:
            _ = try take(8)
            return (number, .fixed)
        case 2:
            let length = try varint()
            guard length <= UInt64(bytes.count) else { throw Malformed() }
            return (number, .bytes(try take(Int(length))))
        case 5:
            _ = try take(4)
            return (number, .fixed)
        default:
            throw Malformed()
        }
    }

    /// The same with all of the field's bytes, its tag included.
    mutating func nextWhole() throws(Malformed) -> (number: Int, field: Field, whole: UnsafeRawBufferPointer)? {
        let start = position
        guard let (number, field) = try next() else { return nil }
        return (number, field, UnsafeRawBufferPointer(rebasing: bytes[start..<position]))
    }

    /// The next of numbers that are packed one behind the other, without tags.
    mutating func nextNumber() throws(Malformed) -> UInt64? {
        position < bytes.count ? try varint() : nil
    }

    private mutating func take(_ count: Int) throws(Malformed) -> UnsafeRawBufferPointer {
        guard count <= bytes.count - position else { throw Malformed() }
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
    }

    private mutating func varint() throws(Malformed) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while position < bytes.count, shift < 64 {
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
            shift += 7
        }
        throw Malformed()
    }
}
