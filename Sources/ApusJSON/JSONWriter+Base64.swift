// Own rather than Foundation's: that needs the floats in a `Data` and gives back another, and this room is linked without Foundation.

extension JSONWriter {
    /// Writes the little-endian bytes of `values` as a base64 string (RFC 4648 section 4, padded): OpenAI's `encoding_format: base64`.
    package mutating func base64(_ values: some Collection<Float>) {
        let words = values.map { $0.bitPattern.littleEndian }
        words.withUnsafeBytes { source in
            reserved((source.count + 2) / 3 * 4 + 2) { target in
                target[0] = UInt8(ascii: "\"")
                let length = encodeBase64(source, into: UnsafeMutableRawBufferPointer(rebasing: target[1...]))
                target[length + 1] = UInt8(ascii: "\"")
                return length + 2
            }
        }
    }
}

/// - Parameter target: at least four bytes for every three, or part of three, in `source`.
/// - Returns: the bytes written.
private func encodeBase64(_ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) -> Int {
    var length = 0
    var position = 0
    while position < source.count {
        let remaining = source.count - position
        let first = UInt32(source[position])
        let second = remaining > 1 ? UInt32(source[position + 1]) : 0
        let third = remaining > 2 ? UInt32(source[position + 2]) : 0
        let group = first << 16 | second << 8 | third
        target[length] = base64Digit(group >> 18)
        target[length + 1] = base64Digit(group >> 12)
        target[length + 2] = remaining > 1 ? base64Digit(group >> 6) : UInt8(ascii: "=")
        target[length + 3] = remaining > 2 ? base64Digit(group) : UInt8(ascii: "=")
        length += 4
        position += 3
    }
    return length
}

private func base64Digit(_ bits: UInt32) -> UInt8 {
    let value = UInt8(bits & 63)
    switch value {
    case 0..<26: return value + UInt8(ascii: "A")
    case 26..<52: return value - 26 + UInt8(ascii: "a")
    case 52..<62: return value - 52 + UInt8(ascii: "0")
    case 62: return UInt8(ascii: "+")
    default: return UInt8(ascii: "/")
    }
}
