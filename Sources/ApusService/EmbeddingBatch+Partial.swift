import ApusErrors

extension EmbeddingBatch {
    /// The accounts of the rows that have a vector.
    var accounts: some Sequence<EmbeddingProvenance> {
        provenance.enumerated().lazy.filter { [failures] in failures[$0.offset] == nil }.map(\.element)
    }

    /// The failure of the first input that has one.
    var firstFailure: ApusError? { Self.first(of: failures) }

    static func first(of failures: [Int: ApusError]) -> ApusError? {
        failures.min { $0.key < $1.key }?.value
    }

    /// The answer to a request of `count` inputs, of which only those at `positions`, in this order, were given to the model, because the
    /// others had failed before.
    /// - Parameter failures: why, for each of the others. Must not name one of `positions`, which must be distinct and below `count`.
    func spread(over count: Int, at positions: [Int], failures earlier: [Int: ApusError]) -> EmbeddingBatch {
        guard count > positions.count else { return self }
        var vectors = [Float](repeating: 0, count: count * dimensions)
        var provenance = [EmbeddingProvenance](repeating: .none, count: count)
        var failures = earlier
        for (row, position) in positions.enumerated() {
            vectors.replaceSubrange(
                position * dimensions..<(position + 1) * dimensions, with: self.vectors[row * dimensions..<(row + 1) * dimensions])
            provenance[position] = self.provenance[row]
            failures[position] = self.failures[row]
        }
        return EmbeddingBatch(vectors: vectors, dimensions: dimensions, provenance: provenance, failures: failures)
    }

    /// Each failure that has a place among those of its input, `documents[3]`.
    func placingFailures(_ names: InputNames) -> EmbeddingBatch {
        guard !failures.isEmpty else { return self }
        var placed = self
        for (index, failure) in failures {
            guard let place = failure.place, place.hasPrefix("input") || place.hasPrefix(names.field(index)) else { continue }
            placed.failures[index]?.place = names.element(index)
        }
        return placed
    }

    /// The vectors, one after the other.
    var rows: [ArraySlice<Float>] {
        provenance.indices.map { vectors[($0 * dimensions)..<(($0 + 1) * dimensions)] }
    }
}
