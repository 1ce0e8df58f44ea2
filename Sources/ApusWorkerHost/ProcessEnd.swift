import ApusWorkers
import Foundation

/// The ends of a worker. All leave at once and run no destructors: an engine may abort in them once its device is poisoned, and a front
/// waits for the end.
enum ProcessEnd {
    static func now(_ status: Int32) -> Never {
        _exit(status)
    }

    /// The end of the front, or its wish, or its breach of the protocol.
    static func after(_ fault: FrameFault) -> Never {
        now(fault == .closed ? WorkerExit.stopped : WorkerExit.breach)
    }
}
