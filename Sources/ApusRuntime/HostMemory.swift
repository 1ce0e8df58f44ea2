import Foundation

/// How much memory the processes of this machine, or of this container, may use.
package struct HostMemory: Sendable {
    /// Bytes of memory the machine has.
    package var physical: Int
    /// Reads a small file whole; nil where there is none.
    package var read: @Sendable (String) -> String?

    package init(physical: Int, read: @escaping @Sendable (String) -> String?) {
        self.physical = physical
        self.read = read
    }

    package static let current = HostMemory(physical: Int(clamping: ProcessInfo.processInfo.physicalMemory)) { path in
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The smallest of the machine's memory and the limits of the control groups that this process is in.
    ///
    /// `memory.max` of cgroup v2 and `memory.limit_in_bytes` of v1, of the group itself and of those above it. Inside a container the path in
    /// `/proc/self/cgroup` need not exist in its own mount; the root of the mount then holds the container's limit.
    package var bytes: Int {
        var limit = physical
        for line in (read("/proc/self/cgroup") ?? "").split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let (root, file): (String, String)
            if fields[0] == "0", fields[1].isEmpty {
                (root, file) = ("/sys/fs/cgroup", "memory.max")
            } else if fields[1].split(separator: ",").contains("memory") {
                (root, file) = ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            } else {
                continue
            }
            var folders = fields[2].split(separator: "/")
            while true {
                let path = ([root] + folders.map(String.init) + [file]).joined(separator: "/")
                if let value = read(path).flatMap({ Int($0.prefix { $0.isASCII && $0.isNumber }) }), value > 0 {
                    limit = min(limit, value)
                }
                guard folders.popLast() != nil else { break }
            }
        }
        return limit
    }
}
