import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusTensor

/// Weights of 8 and 4 bits in blocks of 32, in the operators that the engine has for them; activations stay fp32.
extension GraphWriter {
    /// A linear layer as MatMulNBits. Without zero points its weights are `(integer - 2^(bits-1)) · scale`.
    mutating func quantizedLinear(_ x: Value, _ layer: Linear) throws(ApusError) -> Value {
        let matrix = layer.weight
        let blocks = BlockQuantization.blocks(matrix.columns)
        let bits = form.precision == .int4 ? 4 : 8
        let blockBytes = BlockQuantization.blockSize * bits / 8
        let parts: (values: Value, scales: Value)
        if bits == 4 {
            parts = try constants(matrix, [matrix.rows, blocks, blockBytes], [matrix.rows, blocks]) { values, scales throws(ApusError) in
                try matrix.readBlocks { first, nibbles, ofBlocks throws(ApusError) in
                    values.replace(at: first * blocks * blockBytes, with: nibbles)
                    scales.replace(at: first * blocks, with: ofBlocks)
                }
            }
        } else {
            parts = try bytes(matrix, [matrix.rows, blocks, blockBytes])
        }
        var inputs = [x, parts.values, parts.scales]
        if let bias = layer.bias { inputs += [.none, .none, weight(bias)] }
        return apply(
            "MatMulNBits", domain: .microsoft, inputs,
            [
                "K": .int(Int64(matrix.columns)), "N": .int(Int64(matrix.rows)), "bits": .int(Int64(bits)),
                "block_size": .int(Int64(BlockQuantization.blockSize)), "accuracy_level": .int(bits == 4 ? Self.floatProducts : Self.integerProducts),
            ])
    }

    /// On a CPU, products with weights of 4 bits are computed in fp32: the weights are kept once and without sums of their blocks.
    private static let floatProducts: Int64 = 1
    /// For 8 bits the CPU has products of integers only; without asking for them it makes an fp32 copy of the weights in every step.
    private static let integerProducts: Int64 = 4

    /// Rows of a table of 8 bits by their numbers, `[1, T]` to `[1, T, H]` fp32.
    mutating func quantizedRows(_ numbers: Value, _ table: WeightMatrix) throws(ApusError) -> Value {
        // The operator takes whole blocks only.
        guard table.columns % BlockQuantization.blockSize == 0 else { return apply("Gather", [try matrix(table), numbers]) }
        let parts = try bytes(table, [table.rows, table.columns])
        return apply(
            "GatherBlockQuantized", domain: .microsoft, [parts.values, numbers, parts.scales],
            [
                "gather_axis": .int(0), "quantize_axis": .int(1), "block_size": .int(Int64(BlockQuantization.blockSize)),
                "bits": .int(8),
            ])
    }

    /// A matrix quantised to 8 bits by rows: each block has the scale of its row, and 128 stands for zero.
    private mutating func bytes(_ matrix: WeightMatrix, _ shape: [Int]) throws(ApusError) -> (values: Value, scales: Value) {
        let blocks = BlockQuantization.blocks(matrix.columns)
        let stride = shape.dropFirst().reduce(1, *)
        return try constants(matrix, shape, [matrix.rows, blocks]) { values, scales throws(ApusError) in
            try matrix.readChannels { first, integers, ofRows throws(ApusError) in
                for (row, scale) in ofRows.enumerated() {
                    let start = (first + row) * stride
                    for column in 0..<stride {
                        let integer = column < matrix.columns ? integers[row * matrix.columns + column] : 0
                        values[start + column] = UInt8(bitPattern: integer) ^ 0x80
                    }
                    for block in 0..<blocks { scales[(first + row) * blocks + block] = scale }
                }
            }
        }
    }

    /// Makes room for a quantised matrix, has it filled in, and adds it to the graph as constants of its own: the engine packs them anew, and
    /// what it has packed it lets go.
    private mutating func constants(
        _ matrix: WeightMatrix, _ shape: [Int], _ scaleShape: [Int],
        _ fill: (inout [UInt8], inout [Float]) throws(ApusError) -> Void
    ) throws(ApusError) -> (values: Value, scales: Value) {
        var values = [UInt8](repeating: 0, count: shape.reduce(1, *))
        var scales = [Float](repeating: 0, count: scaleShape.reduce(1, *))
        try fill(&values, &scales)
        matrix.releasePages()
        let (bytes, ofBlocks) = (values, scales.withUnsafeBytes { Array($0) })
        return (
            try constant("\(matrix.name):blocks", .uint8, shape) { () throws(ApusError) in .owned(bytes) },
            try constant("\(matrix.name):scales", .float32, scaleShape) { () throws(ApusError) in .owned(ofBlocks) }
        )
    }
}

extension Array {
    /// Replaces as many elements from `index` on as `elements` has.
    fileprivate mutating func replace(at index: Int, with elements: UnsafeBufferPointer<Element>) {
        replaceSubrange(index..<(index + elements.count), with: elements)
    }
}
