import Foundation

/// How many cores this process may compute on.
package enum CoreCount {
    /// The affinity mask, further limited by a cgroup's CPU quota; at least 1.
    package static var available: Int {
        max(1, min(affinity, quota ?? .max))
    }

    private static var affinity: Int {
        #if os(Linux)
            var mask = cpu_set_t()
            guard sched_getaffinity(0, MemoryLayout<cpu_set_t>.size, &mask) == 0 else {
                return ProcessInfo.processInfo.activeProcessorCount
            }
            return withUnsafeBytes(of: mask) { bytes in bytes.reduce(0) { $0 + $1.nonzeroBitCount } }
        #else
            return ProcessInfo.processInfo.activeProcessorCount
        #endif
    }

    /// Whole cores of the CPU bandwidth limit (`cpu.max` of cgroup v2, `cfs_quota_us` of v1); nil without one.
    private static var quota: Int? {
        let fields: [Substring]
        if let limit = try? String(contentsOfFile: "/sys/fs/cgroup/cpu.max", encoding: .utf8) {
            fields = limit.split(whereSeparator: \.isWhitespace)
        } else {
            let v1 = ["quota", "period"].compactMap {
                try? String(contentsOfFile: "/sys/fs/cgroup/cpu/cpu.cfs_\($0)_us", encoding: .utf8)
            }
            fields = v1.flatMap { $0.split(whereSeparator: \.isWhitespace) }
        }
        guard fields.count == 2, let quota = Double(fields[0]), let period = Double(fields[1]), quota > 0, period > 0 else {
            return nil
        }
        return max(1, Int(quota / period))
    }
}
