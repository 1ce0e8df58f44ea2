import ApusCheckpoint
import ApusErrors
import ApusExecution
import ApusTensor
import CApusKernels

/// Weights on their way from the checkpoint into the memory that a graph's constants borrow: converted some rows at a time, so that a
/// converted tensor never exists as a whole besides, and the pages of the file are given back tensor by tensor.
enum PackedWeights {
    /// Linear layers of one input size as one blob of the kernels, their output channels one after the other.
    /// - Throws: `unsupported_model` for sizes that the kernels do not take, `invalid_checkpoint` for values that are not finite in int8,
    ///   `out_of_memory`.
    static func linear(_ parts: [WeightMatrix], _ format: apus_format) throws(ApusError) -> ConstantBytes {
        guard let columns = parts.first?.columns, parts.allSatisfy({ $0.columns == columns }) else {
            throw ApusError(.unsupportedModel, "linear layers of different input sizes cannot be one", place: parts.first?.name)
        }
        let rows = parts.reduce(0) { $0 + $1.rows }
        let blob = try HostBlock(byteCount: apus_linear_bytes(format, Int64(rows), Int64(columns)), name: parts[0].name)
        try check(apus_linear_begin(format, Int64(rows), Int64(columns), blob.address), parts[0])
        var start = 0
        for part in parts {
            if format == APUS_FORMAT_INT8, !part.isFloatingPoint {
                try part.readChannels { first, integers, scales throws(ApusError) in
                    guard let integers = integers.baseAddress, let from = scales.baseAddress else { return }
                    try check(
                        apus_linear_pack_int8_rows(blob.address, Int64(start + first), Int64(scales.count), integers, from), part)
                }
            } else {
                try part.readRows { first, values throws(ApusError) in
                    guard let from = values.baseAddress else { return }
                    try check(
                        apus_linear_pack_rows(blob.address, Int64(start + first), Int64(values.count / columns), from), part)
                }
            }
            part.releasePages()
            start += part.rows
        }
        return ConstantBytes(blob.bytes, owner: blob)
    }

    /// An embedding table of the kernels. Throws what ``linear(_:_:)`` throws.
    static func table(_ table: WeightMatrix, _ format: apus_format) throws(ApusError) -> ConstantBytes {
        let (rows, columns) = (Int64(table.rows), Int64(table.columns))
        let blob = try HostBlock(byteCount: apus_table_bytes(format, rows, columns), name: table.name)
        try check(apus_table_begin(format, rows, columns, blob.address), table)
        try table.readRows { first, values throws(ApusError) in
            guard let from = values.baseAddress else { return }
            try check(apus_table_pack_rows(blob.address, Int64(first), Int64(values.count) / columns, from), table)
        }
        table.releasePages()
        return ConstantBytes(blob.bytes, owner: blob)
    }

    /// A quantised matrix as fp32, `[rows, columns]`.
    static func floats(_ matrix: WeightMatrix) throws(ApusError) -> ConstantBytes {
        let size = matrix.rows * matrix.columns * MemoryLayout<Float>.stride
        let block = try HostBlock(byteCount: size, name: matrix.name)
        try matrix.readRows { first, values throws(ApusError) in
            block.write(UnsafeRawBufferPointer(values), at: first * matrix.columns * MemoryLayout<Float>.stride)
        }
        matrix.releasePages()
        return ConstantBytes(block.bytes, owner: block)
    }

    /// Some columns of a matrix, `[rows, range]`: floating-point elements as the file has them, quantised ones as fp32.
    static func columns(_ range: Range<Int>, of matrix: WeightMatrix) throws(ApusError) -> [UInt8] {
        guard range.lowerBound >= 0, range.upperBound <= matrix.columns else {
            throw ApusError(
                .invalidCheckpoint, "columns \(range.lowerBound) to \(range.upperBound) are outside the matrix's \(matrix.columns)",
                place: matrix.values.place)
        }
        var bytes: [UInt8] = []
        if case .floats(let view) = matrix.storage {
            let size = view.elementType.byteCount
            bytes.reserveCapacity(matrix.rows * range.count * size)
            for row in 0..<matrix.rows {
                let start = (row * matrix.columns + range.lowerBound) * size
                bytes.append(contentsOf: view.bytes[start..<(start + range.count * size)])
            }
        } else {
            bytes.reserveCapacity(matrix.rows * range.count * MemoryLayout<Float>.stride)
            try matrix.readRows { _, values throws(ApusError) in
                for row in 0..<(values.count / matrix.columns) {
                    let start = row * matrix.columns
                    let part = UnsafeBufferPointer(rebasing: values[(start + range.lowerBound)..<(start + range.upperBound)])
                    bytes.append(contentsOf: UnsafeRawBufferPointer(part))
                }
            }
        }
        matrix.releasePages()
        return bytes
    }

    private static func check(_ result: apus_result, _ matrix: WeightMatrix) throws(ApusError) {
        guard result != APUS_OK else { return }
        throw ApusError(
            .invalidCheckpoint, "the weights cannot be packed: a value is not finite or a size is not supported", place: matrix.values.place)
    }
}

extension WeightMatrix {
    fileprivate var isFloatingPoint: Bool {
        if case .floats = storage { true } else { false }
    }
}
