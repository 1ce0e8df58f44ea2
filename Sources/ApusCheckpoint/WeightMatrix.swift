package import ApusErrors
import ApusTensor

/// A matrix of weights as a checkpoint stores it: floating-point, or quantised before.
package struct WeightMatrix: Sendable {
    package enum Storage: Sendable {
        /// fp32, fp16 or bf16, `[rows, columns]`.
        case floats(TensorView)
        /// int8 `[rows, columns]` with fp32 scales `[rows]`: ``ChannelQuantization``.
        case channels(TensorView, scales: TensorView)
        /// Nibbles `[rows, blocks, 16]` with fp32 scales `[rows, blocks]`: ``BlockQuantization``.
        case blocks(TensorView, scales: TensorView)
    }

    package let name: String
    package let rows: Int
    package let columns: Int
    package let storage: Storage

    /// A matrix of floating-point numbers. `view` has two dimensions.
    /// - Throws: `.invalidCheckpoint` for another number of dimensions or another type.
    package init(_ view: TensorView) throws(ApusError) {
        guard view.shape.count == 2, TensorView.floatTypes.contains(view.elementType) else {
            throw ApusError(.invalidCheckpoint, "this is not a matrix of floating-point numbers", place: view.place)
        }
        self.init(name: view.name, rows: view.shape[0], columns: view.shape[1], .floats(view))
    }

    init(name: String, rows: Int, columns: Int, _ storage: Storage) {
        self.name = name
        self.rows = rows
        self.columns = columns
        self.storage = storage
    }

    /// The values as they lie in the file.
    package var values: TensorView {
        switch storage {
        case .floats(let view), .channels(let view, _), .blocks(let view, _): view
        }
    }

    /// Gives the pages back that reading the matrix brought into memory; they return from the file when they are touched again.
    package func releasePages() {
        values.owner.releasePages(of: values.bytes)
    }
}

extension WeightMatrix {
    /// Elements that are converted at a time: they stay in a core's second-level cache.
    private static let blockElements = 1 << 16

    /// Bytes of the file that stay in memory while a matrix is read.
    private static let keptBytes = 4 << 20

    /// Rows that are converted at a time.
    var rowsAtATime: Int { max(1, Self.blockElements / max(1, columns)) }

    /// Hands the matrix to `body` as fp32, some rows at a time: the first row's number and the elements.
    package func readRows(
        _ body: (_ first: Int, _ values: UnsafeBufferPointer<Float>) throws(ApusError) -> Void
    ) throws(ApusError) {
        let step = rowsAtATime
        let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: min(step, rows) * columns)
        defer { buffer.deallocate() }
        var first = 0
        var released = 0
        while first < rows {
            let last = min(rows, first + step)
            let block = UnsafeMutableBufferPointer(rebasing: buffer[0..<((last - first) * columns)])
            switch storage {
            case .floats(let view):
                try view.readFloats(in: (first * columns)..<(last * columns), into: block)
            case .channels(let view, let scales):
                try ChannelQuantization.read(view, scales, rows: first..<last, columns: columns, into: block)
            case .blocks(let view, let scales):
                try BlockQuantization.read(view, scales, rows: first..<last, columns: columns, into: block)
            }
            try body(first, UnsafeBufferPointer(block))
            first = last
            let read = values.bytes.count / max(1, rows) * last
            if read - released >= Self.keptBytes {
                values.owner.releasePages(of: UnsafeRawBufferPointer(rebasing: values.bytes[released..<read]))
                released = read
            }
        }
    }

    /// Hands the matrix to `body` in int8, some rows at a time: what the file holds where it holds int8, else quantised now.
    /// - Throws: `.invalidCheckpoint` for values that are not finite.
    package func readChannels(
        _ body: (_ first: Int, _ values: UnsafeBufferPointer<Int8>, _ scales: UnsafeBufferPointer<Float>) throws(ApusError) -> Void
    ) throws(ApusError) {
        if case .channels(let view, let scales) = storage {
            let scales = try scales.floats()
            let result = scales.withUnsafeBufferPointer { scales in
                Result { () throws(ApusError) in try body(0, view.bytes.bindMemory(to: Int8.self), scales) }
            }
            return try result.get()
        }
        let capacity = min(rowsAtATime, rows)
        let quantized = UnsafeMutableBufferPointer<Int8>.allocate(capacity: capacity * columns)
        let scales = UnsafeMutableBufferPointer<Float>.allocate(capacity: capacity)
        defer {
            quantized.deallocate()
            scales.deallocate()
        }
        try readRows { first, values throws(ApusError) in
            let count = values.count / columns
            for row in 0..<count {
                let range = (row * columns)..<((row + 1) * columns)
                guard let scale = ChannelQuantization.quantize(
                    UnsafeBufferPointer(rebasing: values[range]), into: UnsafeMutableBufferPointer(rebasing: quantized[range]))
                else { throw notFinite(first + row) }
                scales[row] = scale
            }
            try body(
                first, UnsafeBufferPointer(rebasing: quantized[0..<(count * columns)]), UnsafeBufferPointer(rebasing: scales[0..<count]))
        }
    }

    /// Hands the matrix to `body` in blocks of 4 bits, some rows at a time: what the file holds where it holds them, else quantised now.
    /// - Throws: `.invalidCheckpoint` for values that are not finite.
    package func readBlocks(
        _ body: (_ first: Int, _ nibbles: UnsafeBufferPointer<UInt8>, _ scales: UnsafeBufferPointer<Float>) throws(ApusError) -> Void
    ) throws(ApusError) {
        if case .blocks(let view, let scales) = storage {
            let scales = try scales.floats()
            let result = scales.withUnsafeBufferPointer { scales in
                Result { () throws(ApusError) in try body(0, view.bytes.bindMemory(to: UInt8.self), scales) }
            }
            return try result.get()
        }
        let blocks = BlockQuantization.blocks(columns)
        let capacity = min(rowsAtATime, rows) * blocks
        let nibbles = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: capacity * BlockQuantization.blockBytes)
        let scales = UnsafeMutableBufferPointer<Float>.allocate(capacity: capacity)
        defer {
            nibbles.deallocate()
            scales.deallocate()
        }
        try readRows { first, values throws(ApusError) in
            let count = values.count / columns
            for row in 0..<count {
                let target = (row * blocks)..<((row + 1) * blocks)
                let bytes = (target.lowerBound * BlockQuantization.blockBytes)..<(target.upperBound * BlockQuantization.blockBytes)
                guard BlockQuantization.quantize(
                    UnsafeBufferPointer(rebasing: values[(row * columns)..<((row + 1) * columns)]),
                    into: UnsafeMutableBufferPointer(rebasing: nibbles[bytes]),
                    scales: UnsafeMutableBufferPointer(rebasing: scales[target]))
                else { throw notFinite(first + row) }
            }
            let used = count * blocks
            try body(
                first, UnsafeBufferPointer(rebasing: nibbles[0..<(used * BlockQuantization.blockBytes)]),
                UnsafeBufferPointer(rebasing: scales[0..<used]))
        }
    }

    private func notFinite(_ row: Int) -> ApusError {
        ApusError(.invalidCheckpoint, "row \(row) holds a value that is not finite and cannot be quantised", place: values.place)
    }
}
