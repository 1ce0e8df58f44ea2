import Foundation

/// What the system counts of this process's memory, in bytes.
struct MemoryUse {
    /// Memory of its own: pages of mapped files, which the system can take back at any time, are not in it.
    var anonymous = 0
    /// The most that was resident, mapped files included.
    var peakResident = 0

    static var current: MemoryUse {
        var use = MemoryUse()
        for line in ((try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? "").split(separator: "\n") {
            let fields = line.split { $0 == " " || $0 == "\t" || $0 == ":" }
            guard fields.count >= 2, let kibibytes = Int(fields[1]) else { continue }
            switch fields[0] {
            case "RssAnon": use.anonymous = kibibytes << 10
            case "VmHWM": use.peakResident = kibibytes << 10
            default: break
            }
        }
        return use
    }
}

/// Looks at this process's own memory every two milliseconds and remembers the most.
final class MemoryWatch: @unchecked Sendable {
    // `most` is guarded by `lock`.
    private let lock = NSLock()
    private var most = 0

    init() {
        Thread.detachNewThread { [weak self] in
            while let self {
                let now = MemoryUse.current.anonymous
                self.lock.withLock { self.most = max(self.most, now) }
                usleep(2_000)
            }
        }
    }

    /// The most since the last call.
    func restart() -> Int {
        let now = MemoryUse.current.anonymous
        return lock.withLock {
            defer { most = now }
            return max(most, now)
        }
    }
}
