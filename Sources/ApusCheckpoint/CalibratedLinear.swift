/// A linear layer in blocks of 4 bits that were rounded for the inputs that the layer sees, in the layout of ``BlockQuantization``.
package struct CalibratedLinear: Sendable {
    /// `[rows, blocks, 16]`.
    package let nibbles: [UInt8]
    /// `[rows, blocks]`.
    package let scales: [Float]
    /// The layer's bias and what rounding took from its results on average, `[rows]`; nil for layers without one.
    package let bias: [Float]?

    /// - Parameters:
    ///   - integers: `[rows, columns]`, in -8 … 7; `columns` is a multiple of the block's size.
    package init(_ integers: [Int8], scales: [Float], bias: [Float]?) {
        nibbles = BlockQuantization.nibbles(integers)
        self.scales = scales
        self.bias = bias
    }
}
