import Foundation

/// Threads that take work from one queue, in the order it came; whichever is free takes the next.
///
/// Threads and not tasks: engine calls block for milliseconds and would starve Swift's cooperative pool.
final class Lanes: Sendable {
    private let queue = WorkQueue()

    init(count: Int, name: String) {
        for index in 0..<count {
            let queue = queue
            let thread = Thread {
                Thread.current.name = "\(name)-\(index)"
                while let work = queue.next() { work() }
            }
            // Deep operator nesting inside the engine runs on this stack.
            thread.stackSize = 8 << 20
            thread.start()
        }
    }

    deinit {
        queue.close()
    }

    func submit(_ work: @escaping @Sendable () -> Void) {
        queue.append(work)
    }
}

/// Work waiting for a thread. Closing lets the threads finish what was queued and end.
private final class WorkQueue: @unchecked Sendable {
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
            condition.broadcast()
        }
    }

    func next() -> (@Sendable () -> Void)? {
        condition.withLock {
            while waiting.isEmpty && !closed { condition.wait() }
            return waiting.isEmpty ? nil : waiting.removeFirst()
        }
    }
}
