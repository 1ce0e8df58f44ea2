#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What Linux tells about this process in `/proc` (proc(5)).
package struct ProcessStatistics: Sendable, Equatable {
    /// Resident memory in bytes.
    package var residentBytes: Double
    /// User and system time in seconds.
    package var cpuSeconds: Double
    /// Start in seconds since 1970.
    package var startTime: Double

    package init(residentBytes: Double, cpuSeconds: Double, startTime: Double) {
        self.residentBytes = residentBytes
        self.cpuSeconds = cpuSeconds
        self.startTime = startTime
    }

    /// Nil where there is no `/proc` or it reads otherwise than expected.
    package static func current() -> ProcessStatistics? {
        #if os(Linux)
        guard let stat = contents(of: "/proc/self/stat"), let system = contents(of: "/proc/stat") else { return nil }
        return ProcessStatistics(
            stat: stat,
            systemStat: system,
            pageSize: Double(sysconf(Int32(_SC_PAGESIZE))),
            ticksPerSecond: Double(sysconf(Int32(_SC_CLK_TCK)))
        )
        #else
        return nil
        #endif
    }

    /// - Parameters:
    ///   - stat: `/proc/self/stat`; the name in its second field may hold spaces and parentheses.
    ///   - systemStat: `/proc/stat`, for its `btime` line.
    package init?(stat: String, systemStat: String, pageSize: Double, ticksPerSecond: Double) {
        guard ticksPerSecond > 0, let nameEnd = stat.lastIndex(of: ")") else { return nil }
        // The first of these is field 3, so field n stands at n - 3.
        let fields = stat[stat.index(after: nameEnd)...].split(whereSeparator: \.isWhitespace)
        guard fields.count > 21,
            let userTicks = Double(fields[11]), let systemTicks = Double(fields[12]),
            let startTicks = Double(fields[19]), let pages = Double(fields[21])
        else { return nil }
        guard let bootLine = systemStat.split(separator: "\n").first(where: { $0.hasPrefix("btime ") }),
            let bootTime = Double(bootLine.dropFirst("btime ".count))
        else { return nil }
        residentBytes = pages * pageSize
        cpuSeconds = (userTicks + systemTicks) / ticksPerSecond
        startTime = bootTime + startTicks / ticksPerSecond
    }

    #if os(Linux)
    private static func contents(of path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16384)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            guard count > 0 else { break }
            bytes.append(contentsOf: chunk[..<count])
        }
        return String(decoding: bytes, as: UTF8.self)
    }
    #endif
}

extension PrometheusRegistry {
    /// Shows this process' memory, CPU time and start at each scrape.
    package func reportProcess() {
        beforeScrape { registry in
            guard let statistics = ProcessStatistics.current() else { return }
            registry.gauge("process_resident_memory_bytes").set(statistics.residentBytes)
            registry.counter("process_cpu_seconds_total").set(statistics.cpuSeconds)
            registry.gauge("process_start_time_seconds").set(statistics.startTime)
        }
    }
}
