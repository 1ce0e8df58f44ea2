import Foundation

extension CPUTopology {
    /// The topology as this process sees it now.
    package static var current: CPUTopology { CPUTopology(root: "") }

    /// Reads the kernel's files.
    /// - Parameter root: what stands before `/proc` and `/sys`.
    package init(root: String) {
        let files = KernelFiles(root: root)
        let allowed = files.affinity ?? Array(0..<max(1, ProcessInfo.processInfo.activeProcessorCount))
        self.init(
            cores: allowed.map { Core(number: $0, sibling: files.sibling(of: $0)) },
            quota: files.quota,
            modelName: files.modelName)
    }
}

/// The kernel's files that tell of cores; a missing or unreadable one tells nothing.
struct KernelFiles {
    let root: String

    /// Cores of the affinity mask. Read as text because the call that returns it is a GNU extension that Swift does not import.
    var affinity: [Int]? {
        let key = "Cpus_allowed_list:"
        let line = text("/proc/self/status")?.split(separator: "\n").first { $0.hasPrefix(key) }
        guard let line, let cores = Self.coreList(line.dropFirst(key.count)), !cores.isEmpty else { return nil }
        return cores
    }

    /// The lowest number among the logical cores that share a physical core with `core`.
    func sibling(of core: Int) -> Int? {
        text("/sys/devices/system/cpu/cpu\(core)/topology/thread_siblings_list").flatMap { Self.coreList($0[...]) }?.min()
    }

    var modelName: String? {
        guard let file = FileHandle(forReadingAtPath: root + "/proc/cpuinfo") else { return nil }
        defer { try? file.close() }
        // The first core's paragraph is enough; all of it grows with the cores.
        guard let head = try? file.read(upToCount: 8_192) else { return nil }
        let line = String(decoding: head, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("model name") }
        let value = line?.split(separator: ":", maxSplits: 1).dropFirst().first?.trimmingCharacters(in: .whitespaces)
        return value?.isEmpty == false ? value : nil
    }

    /// The smallest CPU bandwidth limit, in cores, of the cgroups this process is in, of their parents, and of the cgroup file systems' roots
    /// as they are mounted here (which in a container are its own limits, whatever path `/proc/self/cgroup` tells).
    var quota: Double? {
        var paths: [(hierarchy: String, path: String)] = [("", "/")]
        for line in (text("/proc/self/cgroup") ?? "").split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let controllers = fields[1].split(separator: ",")
            guard controllers.isEmpty || controllers.contains("cpu") else { continue }
            paths.append((String(fields[1]), String(fields[2])))
        }
        return paths.flatMap { limits(hierarchy: $0.hierarchy, path: $0.path) }.min()
    }

    /// - Parameter hierarchy: the controllers of a version 1 hierarchy, `cpu,cpuacct`; empty for version 2.
    private func limits(hierarchy: String, path: String) -> [Double] {
        let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"]
            + (hierarchy.isEmpty ? [] : ["/sys/fs/cgroup/\(hierarchy)"])
        return Self.ancestors(of: path).flatMap { group in mounts.compactMap { limit(at: $0 + group) } }
    }

    private func limit(at directory: String) -> Double? {
        let fields: [Substring]
        if let limit = text("\(directory)/cpu.max") {
            fields = limit.split(whereSeparator: \.isWhitespace)
        } else {
            fields = ["quota", "period"].flatMap { name in
                text("\(directory)/cpu.cfs_\(name)_us")?.split(whereSeparator: \.isWhitespace) ?? []
            }
        }
        guard fields.count == 2, let quota = Double(fields[0]), let period = Double(fields[1]), quota > 0, period > 0 else { return nil }
        return quota / period
    }

    /// `/a/b` gives `/a/b`, `/a` and the empty path of the root.
    private static func ancestors(of path: String) -> [String] {
        let parts = path.split(separator: "/")
        return (0...parts.count).reversed().map { parts.prefix($0).map { "/\($0)" }.joined() }
    }

    /// Reads the kernel's list format, `0-3,8`; nil for anything else.
    static func coreList(_ text: Substring) -> [Int]? {
        var cores: [Int] = []
        for part in text.split(whereSeparator: { $0 == "," || $0.isWhitespace }) {
            let bounds = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            guard let first = bounds[0], let last = bounds.count == 2 ? bounds[1] : first, bounds.count <= 2,
                0 <= first, first <= last, last < Self.mostCores
            else { return nil }
            cores.append(contentsOf: first...last)
        }
        return cores
    }

    /// More than any kernel is built for.
    private static let mostCores = 1 << 16

    private func text(_ path: String) -> String? {
        try? String(contentsOfFile: root + path, encoding: .utf8)
    }
}
