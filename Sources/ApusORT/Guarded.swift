import Foundation

/// A value that one thread at a time may touch.
///
/// `Synchronization.Mutex` would do, but on Linux the kernel hands a contended one over where ThreadSanitizer does not see it, and every
/// use is then reported as a race.
package final class Guarded<Value>: @unchecked Sendable {
    // `value` is touched only while `lock` is held.
    private var value: Value
    private let lock = NSLock()

    package init(_ value: sending Value) {
        self.value = value
    }

    package func withLock<Result, Failure: Error>(_ body: (inout Value) throws(Failure) -> Result) throws(Failure) -> Result {
        lock.lock()
        defer { lock.unlock() }
        return try body(&value)
    }
}
