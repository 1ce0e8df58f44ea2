import ApusErrors
import Dispatch

/// Runs what blocks (reading, hashing) away from Swift's cooperative pool.
enum BlockingWork {
    static func run<Value: Sendable>(
        _ work: @escaping @Sendable () throws(ApusError) -> Value
    ) async throws(ApusError) -> Value {
        guard !Task.isCancelled else { throw ApusError(.cancelled, "loading was called off") }
        let result = await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: Result { () throws(ApusError) in try work() }) }
        }
        return try result.get()
    }
}
