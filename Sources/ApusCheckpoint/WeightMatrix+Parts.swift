package import ApusErrors

extension TensorView {
    /// The part whose first index is in `range`, under a name of its own. It lies where it lies in the whole.
    /// - Throws: `.invalidCheckpoint` for a range outside the tensor.
    package func part(_ range: Range<Int>) throws(ApusError) -> TensorView {
        guard let size = shape.first, range.lowerBound >= 0, range.upperBound <= size else {
            throw ApusError(.invalidCheckpoint, "\(range.lowerBound) to \(range.upperBound) are outside the tensor's \(shape)", place: place)
        }
        let stride = size > 0 ? bytes.count / size : 0
        return TensorView(
            name: "\(name)[\(range.lowerBound)..<\(range.upperBound)]", elementType: elementType,
            shape: [range.count] + shape.dropFirst(),
            bytes: UnsafeRawBufferPointer(rebasing: bytes[(range.lowerBound * stride)..<(range.upperBound * stride)]), owner: owner)
    }
}

extension WeightMatrix {
    /// Some of the rows: output channels of a linear layer. Nothing is copied.
    /// - Throws: `.invalidCheckpoint` for a range outside the matrix.
    package func rows(_ range: Range<Int>) throws(ApusError) -> WeightMatrix {
        let storage: Storage =
            switch storage {
            case .floats(let view): .floats(try view.part(range))
            case .channels(let view, let scales): .channels(try view.part(range), scales: try scales.part(range))
            case .blocks(let view, let scales): .blocks(try view.part(range), scales: try scales.part(range))
            }
        return WeightMatrix(
            name: "\(name)[\(range.lowerBound)..<\(range.upperBound)]", rows: range.count, columns: columns, storage)
    }
}
