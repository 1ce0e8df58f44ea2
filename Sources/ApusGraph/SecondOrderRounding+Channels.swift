import ApusCheckpoint
import ApusErrors
import CApusKernels

/// A linear layer in 8 bits, as the kernels take it: mixed, with one scale for each output channel.
struct RoundedChannels {
    /// `[rows, columns]`, -127 … 127.
    var integers: [Int8]
    /// `[rows]`.
    var scales: [Float]
    /// The layer's bias and what rounding took from its results on average, `[rows]`; nil for layers without one.
    var bias: [Float]?
}

extension SecondOrderRounding {
    /// Rounds a layer whose inputs were mixed (`apus_mix_rows`) before their moments were taken.
    /// - Throws: `invalid_checkpoint` for weights that are not finite, `out_of_memory`.
    func channels(of layer: GraphWriter.Linear) throws(ApusError) -> RoundedChannels {
        let matrix = layer.weight
        var result = RoundedChannels(
            integers: [Int8](repeating: 0, count: matrix.rows * width), scales: [Float](repeating: 0, count: matrix.rows), bias: nil)
        var lost = [Float](repeating: 0, count: matrix.rows)
        let scratch = try HostBlock(byteCount: apus_rounding_scratch(Int64(width)), name: matrix.name)
        try matrix.readRows { first, values throws(ApusError) in
            let mixed = try Self.mixed(values, width: width, layer: matrix.name)
            let rows = mixed.count / width
            for row in 0..<rows {
                let most = mixed[(row * width)..<((row + 1) * width)].reduce(Float(0)) { max($0, $1.isFinite ? abs($1) : .infinity) }
                guard most.isFinite else { throw CalibrationPass.failure(matrix.name) }
                result.scales[first + row] = most / 127
            }
            let code = result.integers.withUnsafeMutableBufferPointer { integers -> apus_result in
                guard let to = integers.baseAddress else { return APUS_BAD_ARGUMENT }
                return apus_round_rows(
                    feedback, order, Int64(width), Int64(width), -127, 127, mixed, Array(result.scales[first..<(first + rows)]), Int64(rows),
                    to + first * width, scratch.address)
            }
            try CalibrationPass.check(code, matrix.name)
            for row in 0..<rows {
                var sum = 0.0
                for column in 0..<width {
                    let rounded = Float(result.integers[(first + row) * width + column]) * result.scales[first + row]
                    sum += Double(mixed[row * width + column] - rounded) * means[column]
                }
                lost[first + row] = Float(sum)
            }
        }
        matrix.releasePages()
        result.bias = try layer.bias.map { bias throws(ApusError) in zip(try bias.floats(), lost).map { $0 + $1 } }
        return result
    }

    /// Rows of `width` as int8 mixes them.
    static func mixed(_ rows: UnsafeBufferPointer<Float>, width: Int, layer: String) throws(ApusError) -> [Float] {
        var mixed = [Float](repeating: 0, count: rows.count)
        guard let from = rows.baseAddress, width > 0 else { return mixed }
        try CalibrationPass.check(apus_mix_rows(from, Int64(rows.count / width), Int64(width), &mixed), layer)
        return mixed
    }
}
