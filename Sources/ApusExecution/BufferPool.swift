package import ApusTensor

/// Storage of tensors that were computed with, kept for the next ones. Belongs to one thread.
///
/// Pays for tensors of a mebibyte and more, for which new memory means a page fault every 4 KiB: copying 19 MiB (32 images of
/// 3 × 224 × 224) took 8.5 ms into new pages and 0.8 ms into used ones. Texts have smaller tensors, which the C library reuses by itself.
package struct BufferPool: Sendable {
    /// What is smaller is not kept.
    package static let leastBytes = 1 << 20

    /// Bytes that are kept at most.
    package let limit: Int
    /// Tensors that were given used storage.
    package private(set) var reuses = 0
    /// Tensors of ``leastBytes`` and more that were given new storage.
    package private(set) var allocations = 0
    /// Bytes kept now.
    package private(set) var heldBytes = 0

    private var floats = Shelf<Float>()
    private var narrow = Shelf<Int32>()
    private var wide = Shelf<Int64>()

    /// Arrays by the bytes of their class.
    private struct Shelf<Element: BitwiseCopyable & Sendable>: Sendable {
        var held: [Int: [[Element]]] = [:]
    }

    package init(limit: Int = 256 << 20) {
        self.limit = limit
    }

    /// The size of the class that `bytes` belong to: a power of two, or one of three steps between it and the next, so that at most a fifth
    /// of a buffer is not used. `bytes` themselves where the next class cannot be counted.
    package static func sizeClass(_ bytes: Int) -> Int {
        guard bytes > 4 else { return max(bytes, 0) }
        let step = 1 << (Int.bitWidth - 1 - (bytes - 1).leadingZeroBitCount - 2)
        let (sum, overflow) = bytes.addingReportingOverflow(step - 1)
        return overflow ? bytes : sum / step * step
    }

    /// A tensor with a copy of `bytes`, which hold as many elements as `shape` has; nil for element types that hosts do not take.
    package mutating func tensor(
        _ elementType: ElementType, _ shape: [Int], copying bytes: UnsafeRawBufferPointer
    ) -> HostTensor? {
        switch elementType {
        case .float32: HostTensor(shape, .float32(copy(bytes, \.floats)))
        case .int32: HostTensor(shape, .int32(copy(bytes, \.narrow)))
        case .int64: HostTensor(shape, .int64(copy(bytes, \.wide)))
        default: nil
        }
    }

    /// Keeps the storage of a tensor that nobody needs any more. What others still hold is theirs: the next user of it here gets a copy.
    package mutating func recycle(_ tensor: consuming HostTensor) {
        let bytes = tensor.byteCount
        guard bytes >= Self.leastBytes else { return }
        let size = Self.sizeClass(bytes)
        let (sum, overflow) = heldBytes.addingReportingOverflow(size)
        guard !overflow, sum <= limit else { return }
        heldBytes = sum
        switch tensor.elements {
        case .float32(let values): floats.held[size, default: []].append(values)
        case .int32(let values): narrow.held[size, default: []].append(values)
        case .int64(let values): wide.held[size, default: []].append(values)
        }
    }

    /// Lets go of all that is kept.
    package mutating func trim() {
        (floats, narrow, wide) = (Shelf(), Shelf(), Shelf())
        heldBytes = 0
    }

    /// New storage has room for the whole class, so that it suits every tensor of it.
    private mutating func copy<Element: BitwiseCopyable & Sendable>(
        _ bytes: UnsafeRawBufferPointer, _ shelf: WritableKeyPath<BufferPool, Shelf<Element>>
    ) -> [Element] {
        let source = bytes.bindMemory(to: Element.self)
        guard bytes.count >= Self.leastBytes else { return Array(source) }
        let size = Self.sizeClass(bytes.count)
        var elements: [Element]
        if let used = self[keyPath: shelf].held[size]?.popLast() {
            elements = used
            heldBytes -= size
            reuses += 1
        } else {
            elements = []
            allocations += 1
        }
        elements.removeAll(keepingCapacity: true)
        elements.reserveCapacity(size / MemoryLayout<Element>.stride)
        elements.append(contentsOf: source)
        return elements
    }
}
