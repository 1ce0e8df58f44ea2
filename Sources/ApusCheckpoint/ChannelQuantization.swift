import ApusErrors
import CApusKernels

/// 8 bits an element, symmetric, one scale for each output channel of a linear layer or row of a table:
/// `value = integer · scale`, integers in -127 … 127, `scale = max |value| / 127`. The rounding is the kernels'.
enum ChannelQuantization {
    /// Quantises a row into `target`, of equal length, and hands out its scale; nil when a value is not finite.
    static func quantize(_ row: UnsafeBufferPointer<Float>, into target: UnsafeMutableBufferPointer<Int8>) -> Float? {
        var scale: Float = 0
        guard let source = row.baseAddress, let integers = target.baseAddress, target.count >= row.count,
            apus_quantize_row_int8(source, Int64(row.count), integers, &scale) == APUS_OK
        else { return nil }
        return scale
    }

    /// Computes the values of `rows` of a matrix with `columns` columns into `target`.
    static func read(
        _ integers: TensorView, _ scales: TensorView, rows: Range<Int>, columns: Int, into target: UnsafeMutableBufferPointer<Float>
    ) throws(ApusError) {
        let ofRows = try scales.floats(in: rows)
        let values = integers.bytes.bindMemory(to: Int8.self)
        guard rows.upperBound * columns <= values.count else {
            throw ApusError(.invalidCheckpoint, "rows \(rows) are outside the tensor", place: integers.place)
        }
        for (place, row) in rows.enumerated() {
            let scale = ofRows[place]
            for column in 0..<columns {
                target[place * columns + column] = Float(values[row * columns + column]) * scale
            }
        }
    }
}
