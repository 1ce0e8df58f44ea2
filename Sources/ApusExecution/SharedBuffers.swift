package import ApusTensor
import Foundation

/// A ``BufferPool`` that threads share: the lanes of an executor, and whoever makes their inputs and takes their outputs apart.
package final class SharedBuffers: @unchecked Sendable {
    // `pool` and `lastLook` are guarded by `lock`. Nothing is copied while it is held.
    private let lock = NSLock()
    private var pool: BufferPool
    private var lastLook = 0

    /// Keeps nothing: for executors whose tensors go nowhere.
    package static let none = SharedBuffers(limit: 0)
    /// Storage that nothing has needed for this long is given back, in nanoseconds.
    package static let windowNanoseconds = 4_000_000_000

    package init(limit: Int = 256 << 20) {
        pool = BufferPool(limit: limit)
    }

    package var use: BufferUse { lock.withLock { pool.use } }

    /// An array without elements that has room for `count`.
    package func storage<Element: PooledElement>(for count: Int) -> [Element] {
        lock.withLock { pool.storage(for: count) }
    }

    /// A tensor with a copy of `bytes`, which hold as many elements as `shape` has; nil for element types that hosts do not take.
    package func tensor(_ elementType: ElementType, _ shape: [Int], copying bytes: UnsafeRawBufferPointer) -> HostTensor? {
        switch elementType {
        case .float32: HostTensor(shape, .float32(copy(bytes)))
        case .int32: HostTensor(shape, .int32(copy(bytes)))
        case .int64: HostTensor(shape, .int64(copy(bytes)))
        default: nil
        }
    }

    private func copy<Element: PooledElement>(_ bytes: UnsafeRawBufferPointer) -> [Element] {
        let source = bytes.bindMemory(to: Element.self)
        var elements: [Element] = storage(for: source.count)
        elements.append(contentsOf: source)
        return elements
    }

    /// Takes the storage of tensors that nobody needs any more.
    package func recycle(_ tensors: some Sequence<HostTensor>) {
        lock.withLock {
            for tensor in tensors {
                switch tensor.elements {
                case .float32(let values): pool.recycle(values)
                case .int32(let values): pool.recycle(values)
                case .int64(let values): pool.recycle(values)
                }
            }
        }
    }

    /// The same for one tensor.
    package func recycle(_ tensor: HostTensor) { recycle(CollectionOfOne(tensor)) }

    /// Gives back what nothing has needed over the last ``windowNanoseconds``. Does nothing when called sooner after the last time.
    ///
    /// - Parameter now: nanoseconds on a clock of the caller's that never goes back.
    package func trimUnneeded(now: Int) {
        lock.withLock {
            guard now - lastLook >= Self.windowNanoseconds else { return }
            lastLook = now
            pool.trimUnneeded()
        }
    }

    /// Gives everything back.
    package func trim() {
        lock.withLock { pool.trim() }
    }
}
