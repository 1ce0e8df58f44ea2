/// Text as UTF-8 that is known to be well formed, because it came from a `String` or from this room's own encoder.
typealias UTF8Bytes = UnsafeBufferPointer<UInt8>

extension UnsafeBufferPointer where Element == UInt8 {
    /// The scalar at `index` and the bytes it takes.
    /// - Parameter index: the first byte of a scalar.
    @inline(__always)
    func scalar(at index: Int) -> (value: UInt32, length: Int) {
        let first = UInt32(self[index])
        if first < 0x80 { return (first, 1) }
        let second = UInt32(self[index + 1] & 0x3F)
        if first < 0xE0 { return ((first & 0x1F) << 6 | second, 2) }
        let third = UInt32(self[index + 2] & 0x3F)
        if first < 0xF0 { return ((first & 0x0F) << 12 | second << 6 | third, 3) }
        return ((first & 0x07) << 18 | second << 12 | third << 6 | UInt32(self[index + 3] & 0x3F), 4)
    }

    /// The index of the scalar that ends before `index`.
    @inline(__always)
    func start(ofScalarBefore index: Int) -> Int {
        var start = index - 1
        while start > 0, self[start] & 0xC0 == 0x80 { start -= 1 }
        return start
    }

    @inline(__always)
    func slice(_ start: Int, _ end: Int) -> UTF8Bytes {
        UTF8Bytes(rebasing: self[start..<end])
    }

    @inline(__always)
    func starts(withBytes prefix: [UInt8]) -> Bool {
        guard count >= prefix.count else { return false }
        for index in prefix.indices where self[index] != prefix[index] { return false }
        return true
    }

    var isASCII: Bool {
        var union: UInt8 = 0
        for byte in self { union |= byte }
        return union < 0x80
    }
}

enum UTF8Length {
    /// The bytes of the scalar that starts with `byte`.
    @inline(__always)
    static func ofScalar(startingWith byte: UInt8) -> Int {
        byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
    }
}

extension [UInt8] {
    @inline(__always)
    mutating func append(scalar: UInt32) {
        if scalar < 0x80 {
            append(UInt8(scalar))
        } else if scalar < 0x800 {
            append(UInt8(0xC0 | scalar >> 6))
            append(UInt8(0x80 | scalar & 0x3F))
        } else if scalar < 0x1_0000 {
            append(UInt8(0xE0 | scalar >> 12))
            append(UInt8(0x80 | scalar >> 6 & 0x3F))
            append(UInt8(0x80 | scalar & 0x3F))
        } else {
            append(UInt8(0xF0 | scalar >> 18 & 0x07))
            append(UInt8(0x80 | scalar >> 12 & 0x3F))
            append(UInt8(0x80 | scalar >> 6 & 0x3F))
            append(UInt8(0x80 | scalar & 0x3F))
        }
    }
}
