// Own rather than Foundation's: that needs the floats in a `Data` and gives back another, and this room is linked without Foundation.

extension JSONWriter {
    /// Writes the little-endian bytes of `values` as a base64 string (RFC 4648 section 4, padded): OpenAI's `encoding_format: base64`.
    package mutating func base64(_ values: some Collection<Float>) {
        let inOneBlock: Void? = values.withContiguousStorageIfAvailable { block in
            #if _endian(little)
                base64(of: UnsafeRawBufferPointer(block))
            #else
                block.map { $0.bitPattern.littleEndian }.withUnsafeBytes { base64(of: $0) }
            #endif
        }
        if inOneBlock == nil { base64(Array(values)) }
    }

    private mutating func base64(of source: UnsafeRawBufferPointer) {
        reserved((source.count + 2) / 3 * 4 + 2) { target in
            target[0] = UInt8(ascii: "\"")
            let length = encodeBase64(source, into: UnsafeMutableRawBufferPointer(rebasing: target[1...]))
            target[length + 1] = UInt8(ascii: "\"")
            return length + 2
        }
    }
}

/// The two digits of every 12 bits, in the order of memory: half the look-ups that single digits take.
private let digitPairs: [UInt16] = (0..<4096 as Range<UInt32>).map { bits in
    UInt16(littleEndian: UInt16(base64Digit(bits >> 6)) | UInt16(base64Digit(bits)) << 8)
}

/// - Parameter target: at least four bytes for every three, or part of three, in `source`.
/// - Returns: the bytes written.
private func encodeBase64(_ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) -> Int {
    let whole = source.count / 3
    digitPairs.withUnsafeBufferPointer { pairs in
        for group in 0..<whole {
            let bits = UInt32(source[3 * group]) << 16 | UInt32(source[3 * group + 1]) << 8 | UInt32(source[3 * group + 2])
            target.storeBytes(of: pairs[Int(bits >> 12)], toByteOffset: 4 * group, as: UInt16.self)
            target.storeBytes(of: pairs[Int(bits & 4095)], toByteOffset: 4 * group + 2, as: UInt16.self)
        }
    }
    let rest = source.count - 3 * whole
    guard rest > 0 else { return 4 * whole }
    let bits = UInt32(source[3 * whole]) << 16 | (rest == 2 ? UInt32(source[3 * whole + 1]) << 8 : 0)
    target[4 * whole] = base64Digit(bits >> 18)
    target[4 * whole + 1] = base64Digit(bits >> 12)
    target[4 * whole + 2] = rest == 2 ? base64Digit(bits >> 6) : UInt8(ascii: "=")
    target[4 * whole + 3] = UInt8(ascii: "=")
    return 4 * whole + 4
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
