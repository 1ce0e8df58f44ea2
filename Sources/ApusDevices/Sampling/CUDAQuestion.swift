import ApusErrors
import Foundation

/// Asks CUDA's driver library on a thread of its own, which is left behind when it does not answer in time.
enum CUDAQuestion {
    /// - Parameter patience: in seconds.
    static func ask(library: String, patience: Double) -> Result<[DeviceNumbering.Enumerated], ApusError> {
        let answer = Answer()
        Thread.detachNewThread {
            answer.set(Result { () throws(ApusError) in try CUDADriver.devices(libraryPath: library) })
        }
        return answer.wait(patience)
            ?? .failure(ApusError(.cudaUnavailable, "CUDA's driver library did not answer within \(patience) s", place: library))
    }

    /// `value` is guarded by `condition`.
    private final class Answer: @unchecked Sendable {
        private let condition = NSCondition()
        private var value: Result<[DeviceNumbering.Enumerated], ApusError>?

        func set(_ value: Result<[DeviceNumbering.Enumerated], ApusError>) {
            condition.lock()
            self.value = value
            condition.signal()
            condition.unlock()
        }

        func wait(_ seconds: Double) -> Result<[DeviceNumbering.Enumerated], ApusError>? {
            let end = Date(timeIntervalSinceNow: seconds)
            condition.lock()
            defer { condition.unlock() }
            while value == nil, condition.wait(until: end) {}
            return value
        }
    }
}
