import CApusProcess
import Foundation

/// Reaps children that were killed, without ever waiting for one: a process that hangs in a driver can outlive SIGKILL.
final class AbandonedChildren: @unchecked Sendable {
    static let shared = AbandonedChildren()

    /// Guards `waiting`. A lock and not `Mutex`, which the thread sanitizer does not know on Linux.
    private let lock = NSLock()
    private var waiting: [Int32] = []

    func add(_ processID: Int32) {
        let isFirst = lock.withLock {
            waiting.append(processID)
            return waiting.count == 1
        }
        if isFirst { Thread.detachNewThread { self.reap() } }
    }

    /// How many have not ended yet.
    var count: Int { lock.withLock { waiting.count } }

    /// Looks often at first and every second later; the thread ends with the last child.
    private func reap() {
        var pause = 0.002
        while reapEnded() {
            Thread.sleep(forTimeInterval: pause)
            pause = min(pause * 2, 1)
        }
    }

    /// - Returns: whether there is somebody left to wait for.
    private func reapEnded() -> Bool {
        lock.withLock {
            waiting.removeAll { processID in
                var detail: Int32 = 0
                return apus_process_reap(processID, &detail) != ApusProcessRunning
            }
            return !waiting.isEmpty
        }
    }
}
