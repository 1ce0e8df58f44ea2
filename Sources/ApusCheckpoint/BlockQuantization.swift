import ApusErrors

/// 4 bits an element, symmetric, one scale for each 32 neighbours of a row, in the layout of ONNX Runtime's MatMulNBits: 16 bytes a block,
/// the element with the even number in the low nibble, `value = (nibble - 8) · scale`. A row's last block is filled up with zeros.
package enum BlockQuantization {
    package static let blockSize = 32
    /// Bytes of a block without its scale.
    package static let blockBytes = 16
    private static let zero: Float = 8

    /// Blocks of a row with `columns` elements.
    package static func blocks(_ columns: Int) -> Int { (columns + blockSize - 1) / blockSize }

    /// Quantises a row into `target`, 16 bytes a block, and `scales`, one a block; false when a value is not finite.
    static func quantize(
        _ row: UnsafeBufferPointer<Float>, into target: UnsafeMutableBufferPointer<UInt8>, scales: UnsafeMutableBufferPointer<Float>
    ) -> Bool {
        for block in scales.indices {
            let values = UnsafeBufferPointer(rebasing: row[(block * blockSize)..<min(row.count, (block + 1) * blockSize)])
            guard let scale = scale(of: values) else { return false }
            scales[block] = scale
            let inverse = scale == 0 ? 0 : 1 / scale
            for byte in 0..<blockBytes {
                let low = nibble(2 * byte < values.count ? values[2 * byte] : 0, inverse)
                let high = nibble(2 * byte + 1 < values.count ? values[2 * byte + 1] : 0, inverse)
                target[block * blockBytes + byte] = low | high << 4
            }
        }
        return true
    }

    /// Of several scales the one with the smallest squared error; nil when a value is not finite. The value furthest from zero takes the
    /// side of the range that has a step more (-8 against 7), and a scale a little under what it asks for often serves the others better.
    private static func scale(of values: UnsafeBufferPointer<Float>) -> Float? {
        guard let widest = widestScale(of: values) else { return nil }
        guard widest != 0 else { return 0 }
        var best = (scale: widest, error: Float.infinity)
        for candidate in 0...candidates {
            let scale = widest * (1 - Float(candidate) * candidateStep)
            let error = self.error(of: values, scale) { _ in 1 }
            if error < best.error { best = (scale, error) }
        }
        return best.scale
    }

    /// What puts the value furthest from zero at -8; 0 for values that are all as good as zero, nil when one is not finite.
    private static func widestScale(of values: UnsafeBufferPointer<Float>) -> Float? {
        var extreme: Float = 0
        var sum: Float = 0
        for value in values {
            if abs(value) > abs(extreme) { extreme = value }
            sum += value * 0
        }
        guard extreme.isFinite, sum == 0 else { return nil }
        let widest = extreme / -zero
        return abs(widest) >= .leastNormalMagnitude ? widest : 0
    }

    @inline(__always)
    private static func error(of values: UnsafeBufferPointer<Float>, _ scale: Float, _ weight: (Int) -> Float) -> Float {
        let inverse = 1 / scale
        var error: Float = 0
        for index in values.indices {
            let difference = values[index] - step(values[index], inverse) * scale
            error += difference * difference * weight(index)
        }
        return error
    }

    /// The scales of a row's blocks with the smallest squared error, each element's counted by the importance of its column; nil when a value
    /// is not finite. The search is wider than for a model that is quantised while somebody waits for it.
    ///
    /// - Parameter importance: one for each element of `row`, not negative.
    package static func scales(of row: UnsafeBufferPointer<Float>, importance: UnsafeBufferPointer<Float>) -> [Float]? {
        guard importance.count == row.count else { return nil }
        var scales: [Float] = []
        for start in stride(from: 0, to: row.count, by: blockSize) {
            let range = start..<min(row.count, start + blockSize)
            let values = UnsafeBufferPointer(rebasing: row[range])
            let weights = UnsafeBufferPointer(rebasing: importance[range])
            guard let widest = widestScale(of: values) else { return nil }
            var best = (scale: widest, error: Float.infinity)
            if widest != 0 {
                for candidate in -wideCandidates...wideCandidates {
                    let size = widest * (1 - Float(abs(candidate)) * candidateStep)
                    let scale = candidate < 0 ? -size : size
                    let error = self.error(of: values, scale) { weights[$0] }
                    if error < best.error { best = (scale, error) }
                }
            }
            scales.append(best.scale)
        }
        return scales
    }

    /// Integers in -8 … 7, two a byte, the first in the low nibble.
    static func nibbles(_ integers: [Int8]) -> [UInt8] {
        stride(from: 0, to: integers.count - 1, by: 2).map { index in
            UInt8(truncatingIfNeeded: integers[index] &+ 8) & 15 | UInt8(truncatingIfNeeded: integers[index + 1] &+ 8) << 4
        }
    }

    private static let wideCandidates = 11
    private static let candidates = 6
    private static let candidateStep: Float = 0.03

    /// The integer nearest to `value · inverse` in -8 … 7. Adding and subtracting 1.5 · 2²³ rounds a small number, ties to even, in
    /// instructions that every CPU has.
    private static func step(_ value: Float, _ inverse: Float) -> Float {
        max(-zero, min(zero - 1, value * inverse)) + 0x1.8p23 - 0x1.8p23
    }

    private static func nibble(_ value: Float, _ inverse: Float) -> UInt8 {
        UInt8(truncatingIfNeeded: Int32(step(value, inverse) + zero))
    }

    /// Computes the values of `rows` of a matrix with `columns` columns into `target`.
    static func read(
        _ nibbles: TensorView, _ scales: TensorView, rows: Range<Int>, columns: Int, into target: UnsafeMutableBufferPointer<Float>
    ) throws(ApusError) {
        let blocks = blocks(columns)
        let ofRows = try scales.floats(in: (rows.lowerBound * blocks)..<(rows.upperBound * blocks))
        let bytes = nibbles.bytes
        guard rows.upperBound * blocks * blockBytes <= bytes.count else {
            throw ApusError(.invalidCheckpoint, "rows \(rows) are outside the tensor", place: nibbles.place)
        }
        for (place, row) in rows.enumerated() {
            for column in 0..<columns {
                let block = column / blockSize
                let byte = bytes[(row * blocks + block) * blockBytes + column % blockSize / 2]
                let nibble = column % 2 == 0 ? byte & 15 : byte >> 4
                target[place * columns + column] = (Float(nibble) - zero) * ofRows[place * blocks + block]
            }
        }
    }
}
