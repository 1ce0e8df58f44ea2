import Foundation

/// Threads that take work from one queue, in the order it came, each with a channel of its own.
///
/// Threads and not tasks: waiting for a worker's answer blocks, and would starve Swift's cooperative pool.
final class LaneThreads: Sendable {
    private let queue = LaneQueue()

    /// One thread for each of `channels`.
    init(_ channels: [WorkerChannel], name: String) {
        for (index, channel) in channels.enumerated() {
            let queue = queue
            let thread = Thread {
                Thread.current.name = "\(name)-\(index)"
                WorkerChannel.current = channel
                while let work = queue.next() { work() }
            }
            thread.stackSize = 1 << 20
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
