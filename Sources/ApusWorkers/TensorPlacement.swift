package import ApusExecution
package import ApusTensor

/// Where in shared memory a tensor lies.
///
/// A placement can only be made when shape, element type and bytes agree; whether it lies inside a region is asked of
/// ``fits(_:)`` before its bytes are touched.
package struct TensorPlacement: Equatable, Sendable {
    /// Tensors start at multiples of this, which suits every element and vector type.
    package static let alignment = 64
    /// The most dimensions a tensor may have.
    package static let rankLimit = 16

    package let elementType: ElementType
    package let shape: [Int]
    package let offset: Int
    package let byteCount: Int

    /// The first byte behind the tensor.
    package let end: Int

    /// Nil unless the shape is valid, of at most 16 dimensions, and its bytes can be counted and placed at `offset`, which is aligned.
    package init?(_ elementType: ElementType, _ shape: [Int], offset: Int) {
        guard shape.count <= Self.rankLimit, offset >= 0, offset % Self.alignment == 0,
            let bytes = ElementCount.bytes(of: shape, elementType)
        else { return nil }
        let (end, overflow) = offset.addingReportingOverflow(bytes)
        guard !overflow else { return nil }
        self.elementType = elementType
        self.shape = shape
        self.offset = offset
        self.end = end
        byteCount = bytes
    }

    /// Where a tensor behind this one may start; nil past the end of the address space.
    package var next: Int? {
        let (sum, overflow) = end.addingReportingOverflow(Self.alignment - 1)
        return overflow ? nil : sum / Self.alignment * Self.alignment
    }

    package func fits(_ regionBytes: Int) -> Bool { end <= regionBytes }
}

extension TensorPlacement {
    package func encode(into bytes: inout [UInt8]) {
        bytes.append(UInt8(truncatingIfNeeded: elementType.rawValue))
        bytes.append(UInt8(truncatingIfNeeded: shape.count))
        bytes.append(littleEndian: UInt64(offset))
        bytes.append(littleEndian: UInt64(byteCount))
        for size in shape { bytes.append(littleEndian: UInt64(size)) }
    }

    package init(from reader: inout PayloadReader) throws(FrameFault) {
        let (type, rank) = (try reader.integer(UInt8.self), Int(try reader.integer(UInt8.self)))
        guard let elementType = ElementType(rawValue: Int32(type)) else { throw .malformed("element type \(type)") }
        guard rank <= Self.rankLimit else { throw .malformed("a tensor of \(rank) dimensions") }
        let (offset, byteCount) = (try reader.size(), try reader.size())
        var shape: [Int] = []
        for _ in 0..<rank { shape.append(try reader.size()) }
        guard let placement = TensorPlacement(elementType, shape, offset: offset), placement.byteCount == byteCount else {
            throw .malformed("a tensor \(shape) of \(elementType) in \(byteCount) bytes at \(offset)")
        }
        self = placement
    }
}

extension HostTensor {
    /// Where this tensor goes when it starts at `offset`; nil when its shape does not say how many elements it has.
    package func placement(at offset: Int) -> TensorPlacement? {
        guard ElementCount.of(shape) == count else { return nil }
        return TensorPlacement(elementType, shape, offset: offset)
    }
}

extension Frame {
    /// What a `result` frame says. Throws `malformed` for any other.
    package func placement() throws(FrameFault) -> TensorPlacement {
        guard kind == .result else { throw .malformed("\(kind) instead of a result") }
        var reader = PayloadReader(payload)
        let placement = try TensorPlacement(from: &reader)
        try reader.end()
        return placement
    }
}
