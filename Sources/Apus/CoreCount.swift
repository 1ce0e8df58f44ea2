import Foundation

/// How many cores this process may compute on.
package enum CoreCount {
    /// The affinity mask, further limited by a cgroup's CPU quota; at least 1.
    package static var available: Int {
        max(1, min(affinity, quota ?? .max))
    }

    /// Cores of the affinity mask, as the kernel prints it: the call that returns it is a GNU extension that Swift does not import.
    private static var affinity: Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let mask = status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed:") }
        let bits = mask?.dropFirst("Cpus_allowed:".count).reduce(0) { $0 + ($1.hexDigitValue?.nonzeroBitCount ?? 0) } ?? 0
        return bits > 0 ? bits : ProcessInfo.processInfo.activeProcessorCount
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
