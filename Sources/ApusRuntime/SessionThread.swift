package import ApusErrors
import ApusExecution
import CApusCollectives
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

    /// Runs `work` and hands out what it returns or throws. Must not be called on the thread itself. Meanwhile the thread is the rank of a
    /// group that its caller is.
    package func perform<Value: Sendable>(_ work: @escaping @Sendable () throws(ApusError) -> Value) throws(ApusError) -> Value {
        let answer = Answer<Value>()
        let rank = GroupRank.current
        lane.submit {
            rank.join()
            let result = Result { () throws(ApusError) in try work() }
            GroupRank.none.join()
            answer.give(result)
        }
        return try answer.wait().get()
    }

    /// Which rank of which communicator a thread is. Whoever is one keeps the communicator for as long.
    private struct GroupRank: Sendable {
        /// The communicator's address; 0 for none.
        let communicator: UInt
        let rank: Int32

        static let none = GroupRank(communicator: 0, rank: 0)

        /// That of the calling thread.
        static var current: GroupRank {
            var rank: Int32 = 0
            let communicator = apus_thread_communicator(&rank)
            return GroupRank(communicator: UInt(bitPattern: communicator), rank: rank)
        }

        func join() {
            apus_thread_join(OpaquePointer(bitPattern: communicator), rank)
        }
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
