import Foundation

/// How long processes have had a processor.
package enum ProcessorTime {
    /// Seconds, of all threads of process `pid` since it began; nil where the system does not tell, or there is no such process.
    package static func seconds(of pid: Int32) -> Double? {
        #if os(Linux)
            var clock = clockid_t()
            var time = timespec()
            guard clock_getcpuclockid(pid, &clock) == 0, clock_gettime(clock, &time) == 0 else { return nil }
            return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
        #else
            return nil
        #endif
    }
}
