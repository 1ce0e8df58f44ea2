import Foundation
import Synchronization

/// Nanoseconds that this process and its worker were able to run.
///
/// A front that was stopped (a debugger, a frozen container, a paused machine) must not take its own absence for a hang of its worker,
/// which may have been stopped just as long.
package final class AwakeClock: Sendable {
    private let absent = Atomic<Int64>(0)

    package init() {}

    package var now: Int64 { Self.monotonic - absent.load(ordering: .relaxed) }

    /// Takes back time in which this process, or its worker, did not run.
    package func forget(_ nanoseconds: Int64) {
        absent.add(nanoseconds, ordering: .relaxed)
    }

    /// Nanoseconds of the system's clock that nobody sets.
    package static var monotonic: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

extension Duration {
    /// Whole nanoseconds; what does not fit is far beyond any deadline and is cut to 100 years.
    var nanoseconds: Int64 {
        let longest: Int64 = 3_155_760_000
        let (seconds, attoseconds) = components
        return min(max(seconds, 0), longest) * 1_000_000_000 + max(attoseconds, 0) / 1_000_000_000
    }
}
