import ApusErrors

extension EmbeddingBatch {
    /// Each vector cut to its first `count` elements and brought back to length 1 (Matryoshka representation learning, Kusupati et al.,
    /// 2022). Done here, after the model and whatever cache it keeps, so that one stored vector serves every length. A vector of zeros
    /// stays as it is. `count` at or above the present length changes nothing.
    func cut(to count: Int) -> EmbeddingBatch {
        guard count > 0, count < dimensions else { return self }
        var cut: [Float] = []
        cut.reserveCapacity(provenance.count * count)
        var start = 0
        while start + dimensions <= vectors.count {
            let head = vectors[start..<start + count]
            let squares = head.reduce(0.0) { $0 + Double($1) * Double($1) }
            let scale = squares > 0 ? Float(1 / squares.squareRoot()) : 1
            cut.append(contentsOf: head.lazy.map { $0 * scale })
            start += dimensions
        }
        return EmbeddingBatch(vectors: cut, dimensions: count, provenance: provenance, failures: failures)
    }

    /// - Throws: `.internalError` when the batch does not hold one row for each of `inputs` inputs, `.wrongAnswer` when an element
    ///   is not finite: JSON could not spell it, and no client could use it.
    func verify(inputs: Int) throws(ApusError) {
        let (expected, overflow) = inputs.multipliedReportingOverflow(by: dimensions)
        guard !overflow, dimensions > 0, provenance.count == inputs, vectors.count == expected else {
            throw ApusError(
                .internalError,
                "the model answered \(inputs) inputs with \(vectors.count) numbers of \(dimensions) a vector and \(provenance.count) accounts"
            )
        }
        // The sum of x - x is 0 exactly when every x is finite; a branch for each element would cost several times as much.
        let residue = vectors.reduce(Float(0)) { $0 + ($1 - $1) }
        guard residue == 0 else {
            throw ApusError(.wrongAnswer, "the model's answer holds numbers that are not finite")
        }
    }
}
