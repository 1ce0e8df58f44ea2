import ApusErrors
import CApusKernels

/// What a linear layer sees over many tokens: the mean of its inputs, and how they vary together.
struct InputMoments {
    /// Input channels.
    let width: Int
    private var count = 0
    private var sums: [Double]
    /// `[width, width]`.
    private var products: [Double]

    /// Tokens that are multiplied at a time: what they add to a product fits fp32.
    private static let step = 512

    init(width: Int) {
        self.width = width
        sums = [Double](repeating: 0, count: width)
        products = [Double](repeating: 0, count: width * width)
    }

    /// Adds `rows`, `[tokens, width]`. Throws `invalid_checkpoint` for values that are not finite, `out_of_memory`.
    mutating func add(_ rows: [Float], layer: String) throws(ApusError) {
        let tokens = rows.count / max(1, width)
        for first in stride(from: 0, to: tokens, by: Self.step) {
            let taken = min(Self.step, tokens - first)
            // Channels as rows: the product of all with all is one linear layer of the kernels.
            var channels = [Float](repeating: 0, count: width * taken)
            for token in 0..<taken {
                for channel in 0..<width {
                    let value = rows[(first + token) * width + channel]
                    channels[channel * taken + token] = value
                    sums[channel] += Double(value)
                }
            }
            let blob = try KernelBlob(rows: width, columns: taken, channels, name: layer)
            let part = try blob.product(with: channels, rows: width, bias: nil, APUS_ACT_NONE)
            for index in products.indices { products[index] += Double(part[index]) }
            count += taken
        }
    }

    var means: [Double] { sums.map { $0 / Double(max(1, count)) } }

    /// `[width, width]`. Of the covariance, because what rounding does to the mean is put right by the bias.
    var covariance: [Double] {
        let means = means
        var covariance = products
        for row in 0..<width {
            for column in 0..<width {
                covariance[row * width + column] = products[row * width + column] / Double(max(1, count)) - means[row] * means[column]
            }
        }
        return covariance
    }
}

/// An fp32 linear layer of the kernels.
struct KernelBlob {
    private let block: HostBlock
    let rows: Int
    let columns: Int
    private let name: String

    /// - Parameter weight: `[rows, columns]`.
    init(rows: Int, columns: Int, _ weight: [Float], name: String) throws(ApusError) {
        block = try HostBlock(byteCount: apus_linear_bytes(APUS_FORMAT_FP32, Int64(rows), Int64(columns)), name: name)
        self.rows = rows
        self.columns = columns
        self.name = name
        guard weight.count == rows * columns, apus_linear_begin(APUS_FORMAT_FP32, Int64(rows), Int64(columns), block.address) == APUS_OK,
            apus_linear_pack_rows(block.address, 0, Int64(rows), weight) == APUS_OK
        else { throw CalibrationPass.failure(name) }
    }

    /// `activation(x · weightᵀ + bias)`, `[count, rows]`, of x `[count, columns]`.
    func product(with x: [Float], rows count: Int, bias: [Float]?, _ activation: apus_activation) throws(ApusError) -> [Float] {
        try CalibrationPass.product(block.address, x, count: count, outputs: rows, bias: bias, activation, name: name)
    }
}
