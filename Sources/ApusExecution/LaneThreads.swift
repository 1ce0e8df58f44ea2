import Foundation

/// Threads that take work from one queue, in the order it came; whichever is free takes the next.
///
/// Threads and not tasks: steps and waits for workers block for milliseconds, and would starve Swift's cooperative pool.
package final class LaneThreads: Sendable {
    private let queue = WorkQueue()

    /// Deep operator nesting inside an engine runs on the stack of a lane.
    package static let engineStackBytes = 8 << 20

    /// - Parameters:
    ///   - begin: called first on every thread, with its number from 0.
    package init(
        count: Int, name: String, stackBytes: Int = engineStackBytes, begin: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        for index in 0..<count {
            let queue = queue
            Self.start("\(name)-\(index)", stackBytes) {
                begin(index)
                while let work = queue.next() { work() }
            }
        }
    }

    deinit {
        queue.close()
    }

    /// After ``close()`` work runs on a thread of its own: whoever waits for it must learn that it fails.
    package func submit(_ work: @escaping @Sendable () -> Void) {
        if !queue.append(work) { Self.start("apus-closed", Self.engineStackBytes, work) }
    }

    /// Lets the threads finish what was given to them and end. Does not wait for them.
    package func close() {
        queue.close()
    }

    private static func start(_ name: String, _ stackBytes: Int, _ body: @escaping @Sendable () -> Void) {
        let thread = Thread {
            Thread.current.name = name
            body()
        }
        thread.stackSize = stackBytes
        thread.start()
    }
}

/// Work waiting for a thread. Closing lets the threads finish what was queued and end.
private final class WorkQueue: @unchecked Sendable {
    // All state is guarded by `condition`.
    private let condition = NSCondition()
    private var waiting: [@Sendable () -> Void] = []
    private var isClosed = false

    /// False when the queue is closed and nobody would take the work.
    func append(_ work: @escaping @Sendable () -> Void) -> Bool {
        condition.withLock {
            guard !isClosed else { return false }
            waiting.append(work)
            condition.signal()
            return true
        }
    }

    func close() {
        condition.withLock {
            isClosed = true
            condition.broadcast()
        }
    }

    func next() -> (@Sendable () -> Void)? {
        condition.withLock {
            while waiting.isEmpty && !isClosed { condition.wait() }
            return waiting.isEmpty ? nil : waiting.removeFirst()
        }
    }
}
