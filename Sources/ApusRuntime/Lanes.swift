import Foundation

/// Threads that take work from one queue, in the order it came; whichever is free takes the next.
///
/// Threads and not tasks: engine calls block for milliseconds and would starve Swift's cooperative pool.
final class Lanes: Sendable {
    private let queue = WorkQueue()

    init(count: Int, name: String) {
        for index in 0..<count {
            let queue = queue
            Self.start("\(name)-\(index)") {
                while let work = queue.next() { work() }
            }
        }
    }

    deinit {
        queue.close()
    }

    /// After ``close()`` work runs on a thread of its own: whoever waits for it must learn that it fails.
    func submit(_ work: @escaping @Sendable () -> Void) {
        if !queue.append(work) { Self.start("apus-closed", work) }
    }

    /// Lets the threads finish what was given to them and end. Does not wait for them.
    func close() {
        queue.close()
    }

    private static func start(_ name: String, _ body: @escaping @Sendable () -> Void) {
        let thread = Thread {
            Thread.current.name = name
            body()
        }
        // Deep operator nesting inside the engine runs on this stack.
        thread.stackSize = 8 << 20
        thread.start()
    }
}

/// Work waiting for a thread. Closing lets the threads finish what was queued and end.
private final class WorkQueue: @unchecked Sendable {
    // All state is guarded by `condition`.
    private let condition = NSCondition()
    private var waiting: [@Sendable () -> Void] = []
    private var closed = false

    /// False when the queue is closed and nobody would take the work.
    func append(_ work: @escaping @Sendable () -> Void) -> Bool {
        condition.withLock {
            guard !closed else { return false }
            waiting.append(work)
            condition.signal()
            return true
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
