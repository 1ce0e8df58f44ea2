package import ApusErrors
package import ApusTensor

extension TensorView {
    /// Elements that ``readFloats(in:into:)`` can convert.
    package static let floatTypes: Set<ElementType> = [.float32, .float16, .bfloat16]

    /// The number of elements.
    package var count: Int { bytes.count / elementType.byteCount }

    /// All elements as fp32.
    package func floats() throws(ApusError) -> [Float] {
        try floats(in: 0..<count)
    }

    /// The elements of `range` as fp32.
    func floats(in range: Range<Int>) throws(ApusError) -> [Float] {
        var values = [Float](repeating: 0, count: range.count)
        // `withUnsafeMutableBufferPointer` does not carry a typed error, a `Result` does.
        let result = values.withUnsafeMutableBufferPointer { target in
            Result { () throws(ApusError) in try readFloats(in: range, into: target) }
        }
        try result.get()
        return values
    }

    /// Converts the elements of `range` to fp32, exactly. `target` has room for as many.
    /// - Throws: `.invalidCheckpoint` for elements that are not floating-point of 16 or 32 bits, and for a range outside the tensor.
    func readFloats(in range: Range<Int>, into target: UnsafeMutableBufferPointer<Float>) throws(ApusError) {
        guard range.lowerBound >= 0, range.upperBound <= count, range.count <= target.count else {
            throw ApusError(.invalidCheckpoint, "elements \(range) are outside the tensor's \(count)", place: place)
        }
        let size = elementType.byteCount
        let source = UnsafeRawBufferPointer(rebasing: bytes[(range.lowerBound * size)..<(range.upperBound * size)])
        switch elementType {
        case .float32:
            UnsafeMutableRawBufferPointer(target).copyMemory(from: source)
        case .bfloat16:
            for index in 0..<range.count {
                let bits = UInt16(littleEndian: source.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self))
                target[index] = Float(bitPattern: UInt32(bits) << 16)
            }
        case .float16:
            for index in 0..<range.count {
                target[index] = Self.float(
                    half: UInt16(littleEndian: source.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)))
            }
        default:
            throw ApusError(.invalidCheckpoint, "elements of type \(elementType) are not floating-point numbers", place: place)
        }
    }

    /// For errors: the file and the tensor's name.
    package var place: String { "\(owner.path): tensor \(name.debugDescription)" }

    /// IEEE 754 binary16 to binary32. By hand because `Float16` is missing on Intel Macs.
    private static func float(half bits: UInt16) -> Float {
        let sign = UInt32(bits & 0x8000) << 16
        let magnitude = UInt32(bits & 0x7FFF)
        // The exponent's bias is 15 in one and 127 in the other; infinities and NaN keep all exponent bits, and multiplying by 2^112
        // normalises subnormal numbers.
        if magnitude >= 0x7C00 { return Float(bitPattern: sign | 0x7F80_0000 | magnitude << 13) }
        return Float(bitPattern: sign | (Float(bitPattern: magnitude << 13) * 0x1p112).bitPattern)
    }
}
