import ApusErrors
import Dispatch
import NIOConcurrencyHelpers

/// Runs what waits for the disk away from Swift's cooperative pool.
enum BlockingCall {
    static func run<Value: Sendable>(_ work: @escaping @Sendable () throws(ApusError) -> Value) async throws(ApusError) -> Value {
        let result = await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: Result { () throws(ApusError) in try work() }) }
        }
        return try result.get()
    }

    /// Runs what takes long and looks now and then, by the closure that it is given, whether its caller has given up.
    static func runCancellable<Value: Sendable>(
        _ work: @escaping @Sendable (_ isCancelled: @escaping @Sendable () -> Bool) throws(ApusError) -> Value
    ) async throws(ApusError) -> Value {
        let isCancelled = NIOLockedValueBox(false)
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                DispatchQueue.global().async {
                    continuation.resume(returning: Result { () throws(ApusError) in try work { isCancelled.withLockedValue { $0 } } })
                }
            }
        } onCancel: {
            isCancelled.withLockedValue { $0 = true }
        }
        return try result.get()
    }
}
