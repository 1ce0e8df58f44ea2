import Foundation

/// Threads that take work from one queue, in the order it came; of those that are free the one that worked last takes the next.
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
                let seat = Seat()
                while let work = queue.next(seat) { work() }
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

/// Work waiting for a thread, and threads waiting for work. Closing lets the threads finish what was queued and end.
///
/// The thread that came last is woken first: its core and its caches are the warmest, and where there is little to do the others sleep on.
private final class WorkQueue: @unchecked Sendable {
    // All state is guarded by `lock`.
    private let lock = NSLock()
    private var waiting: [@Sendable () -> Void] = []
    private var seats: [Seat] = []
    private var isClosed = false

    /// False when the queue is closed and nobody would take the work.
    func append(_ work: @escaping @Sendable () -> Void) -> Bool {
        let (isTaken, seat) = lock.withLock { () -> (Bool, Seat?) in
            guard !isClosed else { return (false, nil) }
            if let seat = seats.popLast() { return (true, seat) }
            waiting.append(work)
            return (true, nil)
        }
        seat?.hand(.work(work))
        return isTaken
    }

    func close() {
        let seats = lock.withLock {
            isClosed = true
            defer { self.seats = [] }
            return self.seats
        }
        for seat in seats { seat.hand(.end) }
    }

    /// - Parameter seat: the calling thread's.
    func next(_ seat: Seat) -> (@Sendable () -> Void)? {
        let order = lock.withLock { () -> Seat.Order? in
            if !waiting.isEmpty { return .work(waiting.removeFirst()) }
            if isClosed { return .end }
            seats.append(seat)
            return nil
        }
        switch order ?? seat.wait() {
        case .work(let work): return work
        case .end: return nil
        }
    }
}

/// Where one thread waits for what it is to do next.
private final class Seat: @unchecked Sendable {
    enum Order {
        case work(@Sendable () -> Void)
        case end
    }

    // Guards `order`.
    private let condition = NSCondition()
    private var order: Order?

    func hand(_ order: Order) {
        condition.withLock { self.order = order }
        // Whoever wakes up finds the lock free.
        condition.signal()
    }

    func wait() -> Order {
        condition.withLock {
            while true {
                if let order {
                    self.order = nil
                    return order
                }
                condition.wait()
            }
        }
    }
}
