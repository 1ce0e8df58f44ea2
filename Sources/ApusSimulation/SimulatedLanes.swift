import Foundation

/// Threads that take work from one line, as the lanes of a real executor do. Those belong to the room that holds the engine, which
/// simulation does without.
final class SimulatedLanes: Sendable {
    private let line = WorkLine()

    init(count: Int, name: String) {
        for index in 0..<count {
            let thread = Thread { [line] in
                while let work = line.next() { work() }
            }
            thread.name = "\(name)-\(index)"
            thread.start()
        }
    }

    deinit {
        line.close()
    }

    func submit(_ work: @escaping @Sendable () -> Void) {
        line.append(work)
    }
}

/// Work in the order it came. Closing lets the threads finish what is in line and end.
private final class WorkLine: @unchecked Sendable {
    // All state is guarded by `condition`.
    private let condition = NSCondition()
    private var waiting: [@Sendable () -> Void] = []
    private var isClosed = false

    func append(_ work: @escaping @Sendable () -> Void) {
        condition.withLock {
            waiting.append(work)
            condition.signal()
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
