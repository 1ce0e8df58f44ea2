/// Reads the parts of a payload one after the other; a payload that ends too early or too late is malformed.
package struct PayloadReader {
    private let bytes: [UInt8]
    private var position = 0

    package init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    package mutating func integer<Number: FixedWidthInteger>(_ type: Number.Type) throws(FrameFault) -> Number {
        let size = MemoryLayout<Number>.size
        guard bytes.count - position >= size else { throw .malformed("a payload that ends too early") }
        let start = position
        position += size
        return bytes.withUnsafeBytes { Number(littleEndian: $0.loadUnaligned(fromByteOffset: start, as: type)) }
    }

    /// An integer that counts or places something: it must fit `Int` and not be negative.
    package mutating func size() throws(FrameFault) -> Int {
        let number = try integer(UInt64.self)
        guard let size = Int(exactly: number) else { throw .malformed("a size of \(number)") }
        return size
    }

    package func end() throws(FrameFault) {
        guard position == bytes.count else { throw .malformed("\(bytes.count - position) bytes behind a payload") }
    }
}
