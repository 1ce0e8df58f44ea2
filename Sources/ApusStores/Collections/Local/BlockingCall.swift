import ApusErrors
import Dispatch

/// Runs what waits for the disk away from Swift's cooperative pool.
enum BlockingCall {
    static func run<Value: Sendable>(_ work: @escaping @Sendable () throws(ApusError) -> Value) async throws(ApusError) -> Value {
        let result = await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: Result { () throws(ApusError) in try work() }) }
        }
        return try result.get()
    }
}
