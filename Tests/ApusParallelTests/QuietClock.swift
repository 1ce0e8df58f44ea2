import ApusSimulation
import Foundation

/// Time that passes exactly when nothing else can happen: once every thread of this process sleeps, the clock moves on to the next moment that
/// somebody waits for. Real threads, locks and schedulers run on it as if computing cost nothing, however busy the machine is.
///
/// Whether all sleep is read twice from the system, with the threads' counts of switches between: who ran meanwhile is seen. On systems that
/// do not tell it, the clock waits a while for everything to become quiet.
final class QuietClock: SimulationClock, @unchecked Sendable {
    // All state is guarded by `condition`.
    private let condition = NSCondition()
    private var time = 0
    private var ends: [Int: Int] = [:]
    private var nextWaiter = 0
    private var isStopped = false

    init() {
        let thread = Thread { [weak self] in
            while self?.moveOn() ?? false { usleep(100) }
        }
        thread.start()
    }

    /// To be called when the test is over, or threads that still wait would keep the clock.
    func stop() {
        condition.withLock {
            isStopped = true
            condition.broadcast()
        }
    }

    var now: Int { condition.withLock { time } }

    func wait(_ nanoseconds: Int, unless isOver: @Sendable () -> Bool) {
        condition.withLock {
            let (end, overflow) = time.addingReportingOverflow(max(0, nanoseconds))
            let waiter = nextWaiter
            nextWaiter += 1
            ends[waiter] = overflow ? .max : end
            while time < (overflow ? .max : end), !isOver(), !isStopped { condition.wait() }
            ends[waiter] = nil
        }
    }

    func wake() {
        condition.withLock { condition.broadcast() }
    }

    /// Whether the clock is still needed.
    private func moveOn() -> Bool {
        guard !condition.withLock({ isStopped }) else { return false }
        guard condition.withLock({ !ends.isEmpty }), Self.isQuiet() else { return true }
        condition.withLock {
            if let next = ends.values.min(), next > time {
                time = next
                condition.broadcast()
            }
        }
        return true
    }

    private static func isQuiet() -> Bool {
        guard FileManager.default.fileExists(atPath: "/proc/self/task") else {
            usleep(20_000)
            return true
        }
        guard let first = sleepers() else { return false }
        return sleepers() == first
    }

    /// How often each thread but this one was switched; nil while one of them runs.
    private static func sleepers() -> [String: String]? {
        var counts: [String: String] = [:]
        guard let threads = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task"),
            let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/thread-self")
        else { return nil }
        for thread in threads where !own.hasSuffix("/\(thread)") {
            // A thread that has gone since runs no more.
            guard let status = try? String(contentsOfFile: "/proc/self/task/\(thread)/status", encoding: .utf8) else { continue }
            var switches = ""
            for line in status.split(separator: "\n") {
                if line.hasPrefix("State:"), !line.contains("S (sleeping)") { return nil }
                if line.contains("ctxt_switches") { switches += line }
            }
            counts[thread] = switches
        }
        return counts
    }
}
