import ApusCheckpoint
import ApusErrors
import CApusKernels

/// Rounds the weights of linear layers that see the same inputs so that the results, and not the weights, change least: GPTQ (Frantar et al.
/// 2023), with the mean of what is left added to the bias.
struct SecondOrderRounding {
    private let width: Int
    private let means: [Double]
    /// What each input channel's errors cost.
    private let importance: [Float]
    /// The channel that each row of ``feedback`` stands for; the last is rounded first.
    private let order: [Int32]
    private let feedback: [Float]

    /// Added to the diagonal, of its mean: GPTQ's `percdamp`.
    private static let damping = 0.01

    /// - Throws: `invalid_checkpoint` when the inputs are not finite.
    init(_ moments: InputMoments, layer: String) throws(ApusError) {
        width = moments.width
        means = moments.means
        let width = width
        let covariance = moments.covariance
        let diagonal = (0..<width).map { max(0, covariance[$0 * width + $0]) }
        // Inputs that never change leave nothing to go by: then weights are rounded to the nearest.
        let damping = max(diagonal.reduce(0, +) / Double(width) * Self.damping, .leastNormalMagnitude)
        importance = diagonal.map { Float($0 + damping) }
        // Channels that vary most are rounded while there are most others to make up for them.
        let order = diagonal.indices.sorted { (diagonal[$0], $0) < (diagonal[$1], $1) }
        var ordered = [Double](repeating: 0, count: width * width)
        for (row, channel) in order.enumerated() {
            for (column, other) in order.enumerated() { ordered[row * width + column] = covariance[channel * width + other] }
            ordered[row * width + row] += damping
        }
        var feedback = [Float](repeating: 0, count: width * width)
        guard apus_rounding_feedback(&ordered, Int64(width), &feedback) == APUS_OK else { throw CalibrationPass.failure(layer) }
        self.order = order.map { Int32(clamping: $0) }
        self.feedback = feedback
    }

    /// - Throws: `invalid_checkpoint` for weights that are not finite.
    func blocks(of layer: GraphWriter.Linear) throws(ApusError) -> CalibratedLinear {
        let matrix = layer.weight
        var integers = [Int8](repeating: 0, count: matrix.rows * width)
        var scales: [Float] = []
        var lost = [Float](repeating: 0, count: matrix.rows)
        let scratch = try HostBlock(byteCount: apus_rounding_scratch(Int64(width)), name: matrix.name)
        try matrix.readRows { first, values throws(ApusError) in
            guard let from = values.baseAddress else { return }
            let rows = values.count / width
            var ofRows: [Float] = []
            for row in 0..<rows {
                let weights = UnsafeBufferPointer(rebasing: values[(row * width)..<((row + 1) * width)])
                let found = importance.withUnsafeBufferPointer { BlockQuantization.scales(of: weights, importance: $0) }
                guard let found else { throw CalibrationPass.failure(matrix.name) }
                ofRows += found
            }
            let code = integers.withUnsafeMutableBufferPointer { integers -> apus_result in
                guard let to = integers.baseAddress else { return APUS_BAD_ARGUMENT }
                return apus_round_rows(
                    feedback, order, Int64(width), Int64(BlockQuantization.blockSize), -8, 7, from, ofRows, Int64(rows),
                    to + first * width, scratch.address)
            }
            try CalibrationPass.check(code, matrix.name)
            for row in 0..<rows {
                var sum = 0.0
                for column in 0..<width {
                    let scale = ofRows[row * BlockQuantization.blocks(width) + column / BlockQuantization.blockSize]
                    let rounded = Float(integers[(first + row) * width + column]) * scale
                    sum += Double(values[row * width + column] - rounded) * means[column]
                }
                lost[first + row] = Float(sum)
            }
            scales += ofRows
        }
        matrix.releasePages()
        let bias = try layer.bias.map { bias throws(ApusError) in zip(try bias.floats(), lost).map { $0 + $1 } }
        return CalibratedLinear(integers, scales: scales, bias: bias)
    }
}
