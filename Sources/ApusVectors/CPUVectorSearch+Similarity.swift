package import ApusErrors
import CApusKernels
import Foundation
import NIOConcurrencyHelpers

extension CPUVectorSearch {
    package func similarity(_ left: VectorRows, _ right: VectorRows, metric: VectorMetric) async throws(ApusError) -> [Float] {
        try right.expect(dimensions: left.dimensions, "vectors")
        try left.expectStorable(as: .fp32, "queries")
        try right.expectStorable(as: .fp32, "vectors")
        let (elements, overflow) = left.count.multipliedReportingOverflow(by: right.count)
        guard !overflow, elements <= limits.maxMatrixElements else {
            throw ApusError(
                .invalidValue, "\(left.count) by \(right.count) scores are more than \(limits.maxMatrixElements)", place: "vectors")
        }
        guard elements > 0 else { return [] }
        let block = try VectorBlock(VectorFormat(dimensions: right.dimensions), capacity: right.count)
        try block.write(right, 0..<right.count, at: 0)
        let matrix = try ScoreMatrix(elements)
        let refused = NIOLockedValueBox(false)
        for start in stride(from: 0, to: left.count, by: 128) {
            guard !Task.isCancelled else { throw ScanLanes.cancelled }
            let range = start..<min(start + 128, left.count)
            let packed = try PackedQueries(left, range, metric, for: APUS_VECTORS_FP32)
            let rows = 512
            let body: @Sendable (Int, Int) -> Void = { _, unit in
                let first = unit * rows
                let choice = apus_row_choice(list: nil, first: Int64(first), count: Int64(min(rows, right.count - first)))
                let result = withUnsafePointer(to: block.scanned(count: right.count)) {
                    apus_scan_scores($0, packed.base, choice, matrix.base + start * right.count + first, Int64(right.count))
                }
                if result != APUS_OK { refused.withLockedValue { $0 = true } }
            }
            let units = (right.count - 1) / rows + 1
            if right.count * right.dimensions * range.count <= Self.inlineProducts {
                for unit in 0..<units { body(0, unit) }
            } else {
                try await lanes.run(units: units, body)
            }
        }
        guard !refused.withLockedValue({ $0 }) else { throw ApusError(.engineFailure, "the kernels refused a part of the vectors") }
        return Array(UnsafeBufferPointer(start: matrix.base, count: elements))
    }
}

/// Scores, written by workers in parts that do not overlap.
private final class ScoreMatrix: @unchecked Sendable {
    let base: UnsafeMutablePointer<Float>

    init(_ count: Int) throws(ApusError) {
        guard let memory = malloc(count * MemoryLayout<Float>.stride) else {
            throw ApusError(.outOfMemory, "no memory for \(count) scores")
        }
        base = memory.bindMemory(to: Float.self, capacity: count)
    }

    deinit { free(base) }
}
