package import ApusErrors
import CApusKernels

/// How the vectors of a set are kept: a validated value.
package struct VectorFormat: Sendable, Hashable {
    package let dimensions: Int
    package let storage: VectorStorage
    /// Whether the vectors are kept in fp32, too, by which the best of a scan are scored again. Never for ``VectorStorage/fp32``.
    package let keepsExactRows: Bool

    /// Throws `invalid_value` for dimensions outside 1...``VectorRows/maxDimensions``.
    package init(dimensions: Int, storage: VectorStorage = .fp32, keepsExactRows: Bool = true) throws(ApusError) {
        guard (1...VectorRows.maxDimensions).contains(dimensions) else {
            throw ApusError(
                .invalidValue, "vectors have 1 to \(VectorRows.maxDimensions) dimensions, not \(dimensions)", place: "dimensions")
        }
        self.dimensions = dimensions
        self.storage = storage
        self.keepsExactRows = keepsExactRows && storage != .fp32
    }

    /// Bytes of a block of `capacity` vectors: the rows, their norms, in int8 their scales, then the exact rows and theirs; each part
    /// begins at a multiple of 64. Throws `invalid_value` for capacities below 1, above 2^31 - 1 and those whose bytes overflow.
    package func blockBytes(capacity: Int) throws(ApusError) -> Int {
        try BlockSections(self, capacity: capacity).bytes
    }

    /// Bytes of one vector and what belongs to it.
    package var bytesPerRow: Int {
        Int(apus_vector_stride(storage.kernel, Int64(dimensions))) + 4 + (storage == .int8 ? 4 : 0)
            + (keepsExactRows ? Int(apus_vector_stride(APUS_VECTORS_FP32, Int64(dimensions))) + 4 : 0)
    }
}

/// Where the parts of a block lie.
struct BlockSections: Sendable {
    let rows = 0
    let norms: Int
    let scales: Int
    let exactRows: Int
    let exactNorms: Int
    let bytes: Int
    let stride: Int
    let exactStride: Int

    init(_ format: VectorFormat, capacity: Int) throws(ApusError) {
        // Row numbers of a block are 32 bits wide.
        guard capacity >= 1, capacity <= Int(Int32.max) else {
            throw ApusError(.invalidValue, "a block holds 1 to \(Int32.max) vectors, not \(capacity)", place: "capacity")
        }
        stride = Int(apus_vector_stride(format.storage.kernel, Int64(format.dimensions)))
        exactStride = format.keepsExactRows ? Int(apus_vector_stride(APUS_VECTORS_FP32, Int64(format.dimensions))) : 0
        var end = 0
        var overflows = false
        func part(_ bytesPerRow: Int) -> Int {
            let start = end
            let (bytes, isTooLarge) = capacity.multipliedReportingOverflow(by: bytesPerRow)
            let (sum, isOver) = end.addingReportingOverflow(bytes)
            let (padded, isBeyond) = sum.addingReportingOverflow(63)
            overflows = overflows || isTooLarge || isOver || isBeyond
            end = padded & ~63
            return start
        }
        _ = part(stride)
        norms = part(4)
        scales = part(format.storage == .int8 ? 4 : 0)
        exactRows = part(exactStride)
        exactNorms = part(format.keepsExactRows ? 4 : 0)
        bytes = end
        guard !overflows else {
            throw ApusError(.invalidValue, "\(capacity) vectors of \(format.dimensions) dimensions are too large a block", place: "capacity")
        }
    }
}
