package import ApusErrors
import CApusKernels

/// Vectors of one length, row-major: what is stored, asked for or compared.
package struct VectorRows: Sendable {
    /// `[count, dimensions]`.
    package let values: [Float]
    package let dimensions: Int
    package let count: Int

    /// The longest vector that the kernels take.
    package static let maxDimensions = Int(APUS_VECTOR_DIMENSIONS)

    /// Throws `invalid_value` for dimensions outside 1...``maxDimensions`` and for values that are no whole number of vectors.
    package init(_ values: [Float], dimensions: Int) throws(ApusError) {
        guard (1...Self.maxDimensions).contains(dimensions) else {
            throw ApusError(.invalidValue, "vectors have 1 to \(Self.maxDimensions) dimensions, not \(dimensions)", place: "dimensions")
        }
        guard values.count.isMultiple(of: dimensions) else {
            throw ApusError(
                .invalidValue, "\(values.count) numbers are no whole number of vectors of \(dimensions) dimensions", place: "vectors")
        }
        (self.values, self.dimensions, count) = (values, dimensions, values.count / dimensions)
    }

    /// Throws `invalid_value`, naming the vector, when the vectors have no length, too great a one or different ones.
    package init(_ vectors: [[Float]]) throws(ApusError) {
        let dimensions = vectors.first?.count ?? 1
        for (row, vector) in vectors.enumerated() where vector.count != dimensions {
            throw ApusError(
                .invalidValue, "the vector has \(vector.count) dimensions, the first has \(dimensions)", place: "vectors[\(row)]")
        }
        try self.init(Array(vectors.joined()), dimensions: dimensions)
    }

    /// Throws `invalid_value` when they cannot be compared with vectors of `expected` dimensions.
    func expect(dimensions expected: Int, _ name: String) throws(ApusError) {
        guard dimensions == expected else {
            throw ApusError(
                .invalidValue, "vectors of \(dimensions) dimensions cannot be compared with vectors of \(expected)", place: name,
                advice: "Use vectors of the same model and the same dimensions")
        }
    }

    /// Throws `invalid_value`, naming the vector, for what rows of this storage cannot hold.
    func expectStorable(as storage: VectorStorage, _ name: String) throws(ApusError) {
        guard let unfit = firstUnfit(for: storage) else { return }
        throw ApusError(.invalidValue, unfit.reason, place: count == 1 ? name : "\(name)[\(unfit.row)]", advice: unfit.advice)
    }

    /// A vector that rows of some storage cannot hold.
    package struct Unfit: Sendable {
        package let row: Int
        package let reason: String
        package let advice: String?
    }

    /// The first vector that rows of this storage cannot hold; nil when they can hold all.
    package func firstUnfit(for storage: VectorStorage) -> Unfit? {
        let row = values.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { Int(apus_vectors_check(storage.kernel, Int64(dimensions), $0, Int64(count))) } ?? -1
        }
        guard row >= 0 else { return nil }
        let vector = values[row * dimensions..<(row + 1) * dimensions]
        if let element = vector.firstIndex(where: { !$0.isFinite }) {
            return Unfit(
                row: row, reason: "element \(element - vector.startIndex) of the vector is \(vector[element]), which is no finite number",
                advice: nil)
        }
        return Unfit(
            row: row,
            reason: storage == .fp16
                ? "the vector has an element beyond 65,519, the largest in fp16"
                : "the vector is longer than 9e18, so that scores would overflow",
            advice: "Normalise the vectors")
    }
}
