import Foundation

/// A thread that runs what it is given, one piece at a time, in order.
///
/// A thread and not a task: engine calls block for milliseconds and would starve Swift's cooperative pool, and some providers
/// tie memory to the thread that runs a session.
final class Lane: Sendable {
    private let queue = LaneQueue()

    init(name: String) {
        let queue = queue
        let thread = Thread {
            Thread.current.name = name
            while let work = queue.next() { work() }
        }
        // Deep operator nesting inside the engine runs on this stack.
        thread.stackSize = 8 << 20
        thread.start()
    }

    deinit {
        queue.close()
    }

    func submit(_ work: @escaping @Sendable () -> Void) {
        queue.append(work)
    }
}

/// Work waiting for a lane's thread. Closing lets the thread finish what was queued and end.
private final class LaneQueue: @unchecked Sendable {
    // All state is guarded by `condition`.
    private let condition = NSCondition()
    private var waiting: [@Sendable () -> Void] = []
    private var closed = false

    func append(_ work: @escaping @Sendable () -> Void) {
        condition.withLock {
            waiting.append(work)
            condition.signal()
        }
    }

    func close() {
        condition.withLock {
            closed = true
            condition.signal()
        }
    }

    func next() -> (@Sendable () -> Void)? {
        condition.withLock {
            while waiting.isEmpty && !closed { condition.wait() }
            return waiting.isEmpty ? nil : waiting.removeFirst()
        }
    }
}
