/// Storage of tensors that were computed with, kept for the next ones, by size class.
///
/// Pays most for tensors of a mebibyte and more, for which new memory means a page fault every 4 KiB: copying 19 MiB (32 images of
/// 3 × 224 × 224) took 8.5 ms into new pages and 0.8 ms into used ones.
package struct BufferPool: Sendable {
    /// What is smaller is not kept: the C library hands such blocks out again by itself, and as fast.
    package static let leastBytes = 1 << 10

    /// Bytes that are kept at most.
    package let limit: Int
    package private(set) var use = BufferUse()

    var floats = BufferShelf<Float>()
    var narrow = BufferShelf<Int32>()
    var wide = BufferShelf<Int64>()

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

    /// An array without elements that has room for `count`: used storage where some of its class is kept. New storage has room for the
    /// whole class, so that it suits every tensor of it.
    package mutating func storage<Element: PooledElement>(for count: Int) -> [Element] {
        var elements: [Element] = []
        let (bytes, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
        guard !overflow, bytes >= Self.leastBytes else {
            elements.reserveCapacity(max(0, count))
            return elements
        }
        let size = Self.sizeClass(bytes)
        if let used = self[keyPath: Element.shelf].take(size) {
            use.heldBytes -= size
            use.hits &+= 1
            return used
        }
        use.misses &+= 1
        elements.reserveCapacity(size / MemoryLayout<Element>.stride)
        return elements
    }

    /// Keeps storage that nobody needs any more, when it has room for the class of its elements. What others still hold is theirs: the next
    /// user of it here gets a copy.
    package mutating func recycle<Element: PooledElement>(_ elements: consuming [Element]) {
        let bytes = elements.count * MemoryLayout<Element>.stride
        guard bytes >= Self.leastBytes else { return }
        let size = Self.sizeClass(bytes)
        let (sum, overflow) = use.heldBytes.addingReportingOverflow(size)
        guard !overflow, sum <= limit, elements.capacity >= size / MemoryLayout<Element>.stride else { return }
        use.heldBytes = sum
        self[keyPath: Element.shelf].keep(elements, size)
    }

    /// Lets go of what nothing has needed since the last look. Looks that are further apart than the tensors of a load leave what the load
    /// uses, and give back what a burst has left.
    package mutating func trimUnneeded() {
        let dropped = floats.dropUnneeded() + narrow.dropUnneeded() + wide.dropUnneeded()
        use.heldBytes -= dropped
        use.trimmedBytes &+= dropped
    }

    /// Lets go of all that is kept.
    package mutating func trim() {
        (floats, narrow, wide) = (BufferShelf(), BufferShelf(), BufferShelf())
        use.trimmedBytes &+= use.heldBytes
        use.heldBytes = 0
    }
}
