/// GPT-2's spelling of bytes by printable characters: itself for a printable byte of Latin-1, else one from U+0100 on.
enum ByteLevelAlphabet {
    /// For each byte, the scalar that stands for it.
    static let scalars: [UInt32] = {
        var extra: UInt32 = 0x100
        return (0..<256).map { (byte: UInt32) in
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return byte
            default:
                defer { extra += 1 }
                return extra
            }
        }
    }()

    private static let byteOfScalar: [UInt8?] = {
        var bytes = [UInt8?](repeating: nil, count: 0x180)
        for (byte, scalar) in scalars.enumerated() { bytes[Int(scalar)] = UInt8(byte) }
        return bytes
    }()

    private static let spellings: [[UInt8]] = scalars.map { scalar in
        var bytes: [UInt8] = []
        bytes.append(scalar: scalar)
        return bytes
    }

    static func spelling(of byte: UInt8) -> [UInt8] { spellings[Int(byte)] }

    static func spell(_ text: UTF8Bytes, into output: inout [UInt8]) {
        for byte in text { output.append(contentsOf: spellings[Int(byte)]) }
    }

    /// The bytes that `text` spells, or nil when it holds a character that stands for no byte.
    static func bytes(spelledBy text: ArraySlice<UInt8>) -> [UInt8]? {
        text.withUnsafeBufferPointer { text in
            var bytes: [UInt8] = []
            bytes.reserveCapacity(text.count)
            var index = 0
            while index < text.count {
                let (scalar, length) = text.scalar(at: index)
                guard scalar < byteOfScalar.count, let byte = byteOfScalar[Int(scalar)] else { return nil }
                bytes.append(byte)
                index += length
            }
            return bytes
        }
    }
}
