/// Base64 of RFC 4648. Own code, because Foundation is a heavy import for one decoder.
enum Base64 {
    /// The decoded bytes, or nil for text that is not padded Base64.
    static func decode(_ text: String) -> [UInt8]? {
        let bytes = Array(text.utf8)
        guard bytes.count % 4 == 0 else { return nil }
        let padding = bytes.suffix(2).reversed().prefix { $0 == UInt8(ascii: "=") }.count
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count / 4 * 3)
        var accumulated: UInt32 = 0
        for (index, byte) in bytes.enumerated() {
            let isPadding = index >= bytes.count - padding
            guard let digit = isPadding ? 0 : value(byte) else { return nil }
            accumulated = accumulated << 6 | digit
            if index % 4 == 3 {
                output.append(UInt8(accumulated >> 16 & 255))
                output.append(UInt8(accumulated >> 8 & 255))
                output.append(UInt8(accumulated & 255))
                accumulated = 0
            }
        }
        output.removeLast(min(padding, output.count))
        return output
    }

    private static func value(_ byte: UInt8) -> UInt32? {
        switch byte {
        case 0x41...0x5A: UInt32(byte) - 0x41
        case 0x61...0x7A: UInt32(byte) - 0x61 + 26
        case 0x30...0x39: UInt32(byte) - 0x30 + 52
        case 0x2B: 62
        case 0x2F: 63
        default: nil
        }
    }
}
