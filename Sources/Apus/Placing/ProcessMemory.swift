import Foundation

/// What the system says of the memory of processes.
package enum ProcessMemory {
    /// Bytes of memory that a process takes, of pages shared with others its part (Pss); nil where the system does not tell.
    package static func proportionalBytes(of pid: Int32) -> Int? {
        guard let rollup = FileManager.default.contents(atPath: "/proc/\(pid)/smaps_rollup") else { return nil }
        return proportionalBytes(rollup: String(decoding: rollup, as: UTF8.self))
    }

    /// Reads a line such as `Pss:   104448 kB` (proc(5)).
    package static func proportionalBytes(rollup: String) -> Int? {
        for line in rollup.utf8.split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: true)
            guard fields.count == 3, fields[0].elementsEqual("Pss:".utf8), let kibibytes = Int(Substring(fields[1])) else { continue }
            let (bytes, overflow) = kibibytes.multipliedReportingOverflow(by: 1024)
            return overflow ? nil : bytes
        }
        return nil
    }
}
