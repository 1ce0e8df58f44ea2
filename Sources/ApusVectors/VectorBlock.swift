package import ApusErrors
import CApusKernels

/// Vectors that lie one after the other in memory of a fixed size. Rows are added and never change, so that scans read them while others are
/// written, and a copy of them on a device stays valid.
///
/// Not synchronised by itself: rows are added by one writer at a time, and only counts that were published under a lock are read (``VectorSet``).
package final class VectorBlock: Sendable {
    package let format: VectorFormat
    package let capacity: Int
    /// Whether rows can be added.
    package let access: Access
    private let sections: BlockSections
    private let memory: BlockMemory

    /// How memory is mapped.
    package enum Access: Sendable {
        case readOnly
        case readWrite
    }

    /// Memory of its own. Throws `invalid_value` and `out_of_memory`.
    package init(_ format: VectorFormat, capacity: Int) throws(ApusError) {
        self.format = format
        self.capacity = capacity
        access = .readWrite
        sections = try BlockSections(format, capacity: capacity)
        memory = try BlockMemory(bytes: sections.bytes)
    }

    /// Memory that belongs to somebody else: a part of a mapped file, at least ``VectorFormat/blockBytes(capacity:)`` long and 64-byte
    /// aligned, which `owner` keeps mapped. What it holds is not verified: wrong bytes give wrong scores, never an access outside.
    package init(
        _ format: VectorFormat, capacity: Int, mapped: UnsafeMutableRawBufferPointer, _ access: Access, owner: any AnyObject & Sendable
    ) throws(ApusError) {
        let sections = try BlockSections(format, capacity: capacity)
        guard let base = mapped.baseAddress, mapped.count >= sections.bytes, UInt(bitPattern: base) % 64 == 0 else {
            throw ApusError(
                .invalidValue, "\(mapped.count) bytes are no block of \(capacity) vectors, which takes \(sections.bytes), 64-byte aligned")
        }
        (self.format, self.capacity, self.sections, self.access) = (format, capacity, sections, access)
        memory = BlockMemory(borrowing: base, owner: owner)
    }

    /// Where rows and what belongs to them lie, as offsets from the block's first byte: what a file must hold on to, flush and verify. Empty
    /// for rows outside the block.
    package func byteRanges(of rows: Range<Int>) -> [Range<Int>] {
        guard rows.lowerBound >= 0, rows.upperBound <= capacity, !rows.isEmpty else { return [] }
        func part(_ offset: Int, _ width: Int) -> Range<Int> { offset + rows.lowerBound * width..<offset + rows.upperBound * width }
        var ranges = [part(sections.rows, sections.stride), part(sections.norms, 4)]
        if format.storage == .int8 { ranges.append(part(sections.scales, 4)) }
        if format.keepsExactRows { ranges += [part(sections.exactRows, sections.exactStride), part(sections.exactNorms, 4)] }
        return ranges
    }

    /// Bytes that ``byteRanges(of:)`` named; those outside the block are left out.
    package func withBytes<Value>(_ range: Range<Int>, _ body: (UnsafeRawBufferPointer) -> Value) -> Value {
        let inside = range.clamped(to: 0..<sections.bytes)
        return body(UnsafeRawBufferPointer(start: memory.base + inside.lowerBound, count: inside.count))
    }

    /// The vector of a published row as it was given; nil where only a reduced form of it is kept.
    func vector(of row: Int) -> [Float]? {
        guard format.storage == .fp32 || format.keepsExactRows else { return nil }
        let (offset, stride) =
            format.storage == .fp32 ? (sections.rows, sections.stride) : (sections.exactRows, sections.exactStride)
        return Array(UnsafeBufferPointer(start: floats(offset + row * stride), count: format.dimensions))
    }

    /// Stores vectors that were found storable, as rows `first ..< first + range.count`.
    func write(_ vectors: VectorRows, _ range: Range<Int>, at first: Int) throws(ApusError) {
        let base = memory.base
        let written = vectors.values.withUnsafeBufferPointer { buffer -> Bool in
            guard let values = buffer.baseAddress else { return range.isEmpty }
            let from = values + range.lowerBound * format.dimensions
            var result = apus_vectors_encode(
                format.storage.kernel, Int64(format.dimensions), from, Int64(range.count), base + first * sections.stride,
                floats(sections.norms) + first, format.storage == .int8 ? floats(sections.scales) + first : nil)
            if format.keepsExactRows, result == APUS_OK {
                result = apus_vectors_encode(
                    APUS_VECTORS_FP32, Int64(format.dimensions), from, Int64(range.count),
                    base + sections.exactRows + first * sections.exactStride, floats(sections.exactNorms) + first, nil)
            }
            return result == APUS_OK
        }
        guard written else { throw ApusError(.engineFailure, "the kernels refused \(range.count) vectors as row \(first)") }
    }

    /// The first `count` rows as they are scanned. Valid while the block lives.
    func scanned(count: Int) -> apus_vectors {
        apus_vectors(
            storage: format.storage.kernel, dimensions: Int64(format.dimensions), count: Int64(count), values: memory.base,
            norms: floats(sections.norms), scales: format.storage == .int8 ? floats(sections.scales) : nil)
    }

    /// The first `count` rows in fp32; nil where they are not kept.
    func exact(count: Int) -> apus_vectors? {
        if format.storage == .fp32 { return scanned(count: count) }
        guard format.keepsExactRows else { return nil }
        return apus_vectors(
            storage: APUS_VECTORS_FP32, dimensions: Int64(format.dimensions), count: Int64(count), values: memory.base + sections.exactRows,
            norms: floats(sections.exactNorms), scales: nil)
    }

    private func floats(_ offset: Int) -> UnsafeMutablePointer<Float> {
        (memory.base + offset).assumingMemoryBound(to: Float.self)
    }
}
