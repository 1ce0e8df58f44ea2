package import ApusErrors
import NIOConcurrencyHelpers

/// Vectors by row number, in memory or in mapped files: what is searched.
///
/// Rows are added and deleted, never changed: an update is a new row and a deletion of the old one. Readers take a ``snapshot()`` and never
/// wait for a writer's work; writers wait for each other.
package final class VectorSet: Sendable {
    package let format: VectorFormat
    /// Rows of the blocks that the set makes by itself.
    private let blockCapacity: Int
    private let segments: NIOLockedValueBox<[VectorSegment]>
    private let writer = NIOLock()

    /// Bytes of a block that the set makes by itself.
    private static let blockBytes = 64 << 20

    /// An empty set. `blockCapacity`: vectors that it makes room for at a time; 64 MiB of them when nil. Throws `invalid_value`.
    package init(_ format: VectorFormat, blockCapacity: Int? = nil) throws(ApusError) {
        let capacity = blockCapacity ?? max(64, min(Int(Int32.max), Self.blockBytes / format.bytesPerRow))
        _ = try format.blockBytes(capacity: capacity)
        self.format = format
        self.blockCapacity = capacity
        segments = NIOLockedValueBox([])
    }

    package func snapshot() -> VectorSnapshot {
        VectorSnapshot(format: format, segments: segments.withLockedValue { $0 })
    }

    /// Adds vectors, all or none, and returns their row numbers.
    ///
    /// Throws `invalid_value` for other dimensions than the set's and for values it cannot hold (not finite, longer than 9e18, beyond fp16),
    /// `out_of_memory`.
    package func append(_ vectors: VectorRows) throws(ApusError) -> Range<Int> {
        try vectors.expect(dimensions: format.dimensions, "vectors")
        try vectors.expectStorable(as: format.storage, "vectors")
        writer.lock()
        defer { writer.unlock() }
        // No other writer: what is written beyond the published rows is nobody's yet.
        let before = segments.withLockedValue { $0 }
        var written = before
        var next = 0
        if written.isEmpty { written.append(try newSegment(at: 0)) }
        while next < vectors.count, var segment = written.popLast() {
            if segment.isFull {
                let row = segment.firstRow + segment.count
                written.append(segment)
                segment = try newSegment(at: row)
            }
            let part = min(vectors.count - next, segment.block.capacity - segment.count)
            try segment.write(vectors, next..<next + part)
            written.append(segment)
            next += part
        }
        let first = before.last.map { $0.firstRow + $0.count } ?? 0
        publish(written)
        return first..<first + vectors.count
    }

    /// Adds a block whose first `count` rows hold vectors already: a mapped file. It takes what is appended next, up to its capacity; the
    /// block before it takes no more. Returns the row numbers. Throws `invalid_value` for another format and for more rows than it has.
    package func adopt(_ block: VectorBlock, count: Int) throws(ApusError) -> Range<Int> {
        guard block.format == format, (0...block.capacity).contains(count) else {
            throw ApusError(.invalidValue, "\(count) rows of a block of \(block.capacity) in another format do not fit the set")
        }
        return writer.withLock {
            segments.withLockedValue { segments in
                let first = segments.last.map { $0.firstRow + $0.count } ?? 0
                segments.append(VectorSegment(block, firstRow: first, count: count))
                return first..<first + count
            }
        }
    }

    /// Deletes rows; searches that begin from now on do not find them. Returns how many existed and were not deleted before.
    @discardableResult
    package func delete(_ rows: some Sequence<Int>) -> Int {
        writer.withLock {
            var written = segments.withLockedValue { $0 }
            let count = rows.reduce(0) { $0 + (Self.delete($1, from: &written) ? 1 : 0) }
            publish(written)
            return count
        }
    }

    /// Puts a vector in the place of a row: searches find either the old or the new one, never both and never none. Returns the row number
    /// of the new one. Throws `not_found` for a row that is not there, and what ``append(_:)`` throws.
    package func update(_ row: Int, to vector: [Float]) throws(ApusError) -> Int {
        let vectors = try VectorRows(vector, dimensions: vector.count)
        try vectors.expect(dimensions: format.dimensions, "vectors")
        try vectors.expectStorable(as: format.storage, "vectors")
        writer.lock()
        defer { writer.unlock() }
        var written = segments.withLockedValue { $0 }
        guard Self.delete(row, from: &written), var segment = written.popLast() else {
            throw ApusError(.notFound, "there is no row \(row)")
        }
        if segment.isFull {
            let next = segment.firstRow + segment.count
            written.append(segment)
            segment = try newSegment(at: next)
        }
        try segment.write(vectors, 0..<1)
        written.append(segment)
        publish(written)
        return segment.firstRow + segment.count - 1
    }

    private func publish(_ written: [VectorSegment]) {
        segments.withLockedValue { $0 = written }
    }

    private func newSegment(at row: Int) throws(ApusError) -> VectorSegment {
        VectorSegment(try VectorBlock(format, capacity: blockCapacity), firstRow: row, count: 0)
    }

    private static func delete(_ row: Int, from segments: inout [VectorSegment]) -> Bool {
        guard let index = segments.lastIndex(where: { $0.firstRow <= row }) else { return false }
        return segments[index].delete(row - segments[index].firstRow)
    }
}
