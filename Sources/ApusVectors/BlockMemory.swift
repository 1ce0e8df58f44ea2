import ApusErrors
import Foundation

/// The bytes under a block: its own, or those of a mapped file that `owner` keeps alive.
final class BlockMemory: @unchecked Sendable {
    // Rows are written once, before they are published under a lock, and only read after.
    let base: UnsafeMutableRawPointer
    private let owner: (any AnyObject & Sendable)?

    /// Throws `out_of_memory`.
    init(bytes: Int) throws(ApusError) {
        var memory: UnsafeMutableRawPointer?
        // Whole huge pages: a scan would otherwise wait for the translation of every 4 KiB.
        let alignment = bytes >= Self.hugePage ? Self.hugePage : 64
        guard posix_memalign(&memory, alignment, bytes) == 0, let memory else {
            throw ApusError(.outOfMemory, "no memory for \(bytes) bytes of vectors")
        }
        #if os(Linux)
            if alignment == Self.hugePage { _ = madvise(memory, bytes, 14) }
        #endif
        base = memory
        owner = nil
    }

    init(borrowing memory: UnsafeMutableRawPointer, owner: any AnyObject & Sendable) {
        base = memory
        self.owner = owner
    }

    deinit {
        if owner == nil { free(base) }
    }

    private static let hugePage = 2 << 20
}
