extension JSONWriter {
    /// Writes the shortest decimal that reads back as `value`. JSON has no infinities and no NaN: they become `null`.
    package mutating func number(_ value: Double) {
        value.isFinite ? word(value.description) : null()
    }

    /// Writes the shortest decimal that reads back as `value`. JSON has no infinities and no NaN: they become `null`.
    package mutating func number(_ value: Float) {
        value.isFinite ? word(value.description) : null()
    }

    /// Writes an array of numbers, each as ``number(_:)-(Float)`` does.
    package mutating func numbers(_ values: some Collection<Float>) {
        let inOneBlock: Void? = values.withContiguousStorageIfAvailable { block in
            // Blocks bound the temporary buffer, whatever the length of the vector.
            beginArray()
            var start = 0
            while start < block.count {
                let next = min(start + Self.blockCount, block.count)
                appendBlock(UnsafeBufferPointer(rebasing: block[start..<next]))
                start = next
            }
            endArray()
        }
        if inOneBlock == nil { numbers(Array(values)) }
    }

    private static let blockCount = 512
    /// The longest description of a finite Float, "-1.17549435e-38", and a comma.
    private static let longestNumber = 16

    /// A description of at most 15 bytes is stored inside the `String` value itself, so nothing is allocated here.
    private mutating func appendBlock(_ values: UnsafeBufferPointer<Float>) {
        reserved(values.count * Self.longestNumber) { buffer in
            var length = 0
            for (position, value) in values.enumerated() {
                if position > 0 {
                    buffer[length] = UInt8(ascii: ",")
                    length += 1
                }
                var text = value.isFinite ? value.description : "null"
                text.withUTF8 { source in
                    let count = min(source.count, Self.longestNumber - 1)
                    let target = UnsafeMutableRawBufferPointer(rebasing: buffer[length...])
                    target.copyMemory(from: UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: source[0..<count])))
                    length += count
                }
            }
            return length
        }
    }
}
