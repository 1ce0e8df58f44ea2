import Foundation

/// How long the threads of a process were ready to run and had no processor.
///
/// A worker on a machine that others keep busy is slow and not hung: the time in which it waited for processors is not held against it. Linux
/// counts that time for each thread (`/proc/PID/task/TID/schedstat`, the second number, in nanoseconds; the kernel's
/// Documentation/scheduler/sched-stats.rst). Where nothing is counted nothing is taken back.
package struct RunDelay {
    private let folder: String
    /// Nanoseconds so far, by thread.
    private var known: [String: Int64]
    private var lookedAt: Int64

    /// Looks closer to each other than this say nothing new.
    private static let shortestSpan: Int64 = 200_000_000
    /// Tenths of the time between two looks that are taken back at most: a thread that hangs beside one that waits is found, only later.
    private static let mostTenths: Int64 = 9

    /// - Parameters:
    ///   - folder: holds a folder for each thread.
    ///   - now: nanoseconds of a clock that does not stop.
    package init(folder: String, now: Int64) {
        self.folder = folder
        known = Self.delays(in: folder)
        lookedAt = now
    }

    init(of pid: Int32) {
        self.init(folder: "/proc/\(pid)/task", now: AwakeClock.monotonic)
    }

    /// Nanoseconds since the last look in which threads waited, all threads together, because those that share a step wait one after the other; at
    /// most nine tenths of the time between.
    package mutating func grown(at now: Int64) -> Int64 {
        let span = now - lookedAt
        guard span >= Self.shortestSpan else { return 0 }
        let delays = Self.delays(in: folder)
        let most = span / 10 * Self.mostTenths
        var grown: Int64 = 0
        for (thread, delay) in delays {
            let growth = max(0, delay - (known[thread] ?? 0))
            grown = min(most, grown + min(most, growth))
        }
        known = delays
        lookedAt = now
        return grown
    }

    private static func delays(in folder: String) -> [String: Int64] {
        #if os(Linux)
            var delays: [String: Int64] = [:]
            for thread in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
                // A thread may have ended meanwhile.
                guard let content = FileManager.default.contents(atPath: "\(folder)/\(thread)/schedstat") else { continue }
                let numbers = content.split(separator: UInt8(ascii: " "))
                if numbers.count > 1, let delay = Int64(String(decoding: numbers[1], as: UTF8.self)), delay >= 0 { delays[thread] = delay }
            }
            return delays
        #else
            return [:]
        #endif
    }
}
