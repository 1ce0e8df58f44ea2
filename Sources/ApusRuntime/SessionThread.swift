package import ApusErrors
import ApusExecution
import Dispatch

/// The one thread on which all runs of a session happen, one after the other, while their callers wait.
///
/// Sessions on accelerators need it. ONNX Runtime pools CUDA streams and library handles by calling thread and ties freed memory to the
/// stream that freed it: a session whose runs come from changing threads grows with every run (microsoft/onnxruntime#29351). And runs
/// that overlap on one session can be handed each other's memory, which ends in CUDA error 700 and a dead process (#32342).
package final class SessionThread: Sendable {
    private let lane: LaneThreads

    package init(name: String) {
        lane = LaneThreads(count: 1, name: name)
    }

    /// Runs `work` and hands out what it returns or throws. Must not be called on the thread itself.
    package func perform<Value: Sendable>(_ work: @escaping @Sendable () throws(ApusError) -> Value) throws(ApusError) -> Value {
        let answer = Answer<Value>()
        lane.submit { answer.give(Result { () throws(ApusError) in try work() }) }
        return try answer.wait().get()
    }

    private final class Answer<Value: Sendable>: @unchecked Sendable {
        // Written once before the semaphore is signalled and read once after it.
        private var result: Result<Value, ApusError>?
        private let given = DispatchSemaphore(value: 0)

        func give(_ result: Result<Value, ApusError>) {
            self.result = result
            given.signal()
        }

        func wait() -> Result<Value, ApusError> {
            given.wait()
            return result ?? .failure(ApusError(.engineFailure, "the session's thread gave no answer"))
        }
    }
}
