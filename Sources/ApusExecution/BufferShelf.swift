/// Arrays of one element type that are kept for later, by the bytes of their size class.
package struct BufferShelf<Element: BitwiseCopyable & Sendable>: Sendable {
    private var classes: [Int: Class] = [:]

    private struct Class: Sendable {
        var held: [[Element]] = []
        /// The fewest that were held since the last look: nothing has needed these.
        var unneeded = 0
    }

    /// An array without elements that has room for the class; nil when none is kept.
    mutating func take(_ size: Int) -> [Element]? {
        guard let place = classes.index(forKey: size), var storage = classes.values[place].held.popLast() else { return nil }
        classes.values[place].unneeded = min(classes.values[place].unneeded, classes.values[place].held.count)
        // Only now: whoever gave it back may have held it a moment longer, and would have been left a copy.
        storage.removeAll(keepingCapacity: true)
        return storage
    }

    mutating func keep(_ storage: consuming [Element], _ size: Int) {
        classes[size, default: Class()].held.append(storage)
    }

    /// - Returns: bytes let go.
    mutating func dropUnneeded() -> Int {
        var dropped = 0
        for size in Array(classes.keys) {
            guard var shelf = classes.removeValue(forKey: size) else { continue }
            shelf.held.removeFirst(shelf.unneeded)
            dropped += shelf.unneeded * size
            shelf.unneeded = shelf.held.count
            if !shelf.held.isEmpty { classes[size] = shelf }
        }
        return dropped
    }
}

/// An element type of ``HostTensor``.
package protocol PooledElement: BitwiseCopyable, Sendable {
    /// Where a pool keeps arrays of it.
    static var shelf: WritableKeyPath<BufferPool, BufferShelf<Self>> { get }
}

extension Float: PooledElement {
    package static var shelf: WritableKeyPath<BufferPool, BufferShelf<Float>> { \.floats }
}

extension Int32: PooledElement {
    package static var shelf: WritableKeyPath<BufferPool, BufferShelf<Int32>> { \.narrow }
}

extension Int64: PooledElement {
    package static var shelf: WritableKeyPath<BufferPool, BufferShelf<Int64>> { \.wide }
}
