import ApusErrors
import CApusKernels
import Foundation

/// Queries as the kernels read them.
final class PackedQueries: @unchecked Sendable {
    // Written in the initialiser, only read after.
    let base: UnsafeMutableRawPointer
    let count: Int

    /// Queries `range` of `rows`, which were found finite. Throws `out_of_memory`.
    init(_ rows: VectorRows, _ range: Range<Int>, _ metric: VectorMetric, for storage: apus_vector_storage) throws(ApusError) {
        let bytes = apus_queries_bytes(storage, Int64(rows.dimensions), Int64(range.count))
        var memory: UnsafeMutableRawPointer?
        guard bytes > 0, posix_memalign(&memory, 64, bytes) == 0, let memory else {
            throw ApusError(.outOfMemory, "no memory for \(range.count) queries of \(rows.dimensions) dimensions")
        }
        base = memory
        count = range.count
        let packed = rows.values.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map {
                apus_queries_pack(
                    metric.kernel, storage, Int64(rows.dimensions), $0 + range.lowerBound * rows.dimensions, Int64(range.count), memory)
            }
        }
        guard packed == APUS_OK else { throw ApusError(.engineFailure, "the kernels refused \(range.count) queries") }
    }

    deinit { free(base) }
}
