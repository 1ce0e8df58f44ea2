import Dispatch
import Foundation

/// Time for simulated work, in nanoseconds.
package protocol SimulationClock: Sendable {
    var now: Int { get }
    /// Returns when `nanoseconds` have passed, or as soon as ``wake()`` is called while `isOver` says so. Blocks.
    func wait(_ nanoseconds: Int, unless isOver: @Sendable () -> Bool)
    /// Has everybody who waits ask again whether it is over.
    func wake()
}

/// The machine's monotonic clock.
package final class MonotonicClock: SimulationClock {
    private let condition = NSCondition()

    package init() {}

    package var now: Int { Int(clamping: DispatchTime.now().uptimeNanoseconds) }

    package func wait(_ nanoseconds: Int, unless isOver: @Sendable () -> Bool) {
        let (end, overflow) = now.addingReportingOverflow(max(0, nanoseconds))
        condition.withLock {
            while !isOver() {
                let rest = (overflow ? .max : end) - now
                guard rest > 0 else { return }
                _ = condition.wait(until: Date(timeIntervalSinceNow: Double(rest) * 1e-9))
            }
        }
    }

    package func wake() {
        condition.withLock { condition.broadcast() }
    }
}

/// Time that passes when a test says so.
package final class VirtualClock: SimulationClock, @unchecked Sendable {
    /// What becomes of those who wait.
    package enum Passage: Sendable {
        /// They wait for ``advance(by:)``.
        case stepped
        /// They go on at once, and the clock has moved on by what they waited.
        case immediate
    }

    // All state is guarded by `condition`.
    private let condition = NSCondition()
    private let passage: Passage
    private var time = 0
    private var waiting = 0

    package init(_ passage: Passage) {
        self.passage = passage
    }

    package var now: Int { condition.withLock { time } }

    package func wait(_ nanoseconds: Int, unless isOver: @Sendable () -> Bool) {
        condition.withLock {
            let end = time.addingSaturated(max(0, nanoseconds))
            if passage == .immediate, !isOver() {
                time = end
                return
            }
            waiting += 1
            condition.broadcast()
            while time < end, !isOver() { condition.wait() }
            waiting -= 1
        }
    }

    package func wake() {
        condition.withLock { condition.broadcast() }
    }

    package func advance(by nanoseconds: Int) {
        condition.withLock {
            time = time.addingSaturated(max(0, nanoseconds))
            condition.broadcast()
        }
    }

    /// Blocks until at least this many wait.
    package func waitForWaiting(_ count: Int) {
        condition.withLock { while waiting < count { condition.wait() } }
    }
}

extension Int {
    /// The sum, or the largest number when it is larger.
    func addingSaturated(_ other: Int) -> Int {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
