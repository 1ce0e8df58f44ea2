import ApusErrors
import Foundation

/// Cuts what the monitor's process writes into lines, and never waits longer than it is told to.
struct MonitorReader {
    enum Outcome {
        case line([UInt8])
        case late
        /// The other end was closed: the process has ended.
        case ended
        /// Somebody wrote to the descriptor that interrupts.
        case interrupted
        /// More than ``longestLine`` bytes without an end.
        case tooLong
    }

    /// Far more than a machine's GPUs take.
    static let longestLine = 1 << 20

    let descriptor: Int32
    /// Becomes readable when reading is to stop.
    let interrupt: Int32
    private var buffer: [UInt8] = []

    init(descriptor: Int32, interrupt: Int32) {
        self.descriptor = descriptor
        self.interrupt = interrupt
    }

    mutating func next(until end: ContinuousClock.Instant) -> Outcome {
        while true {
            if let newline = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(buffer[..<newline])
                buffer.removeSubrange(...newline)
                return .line(line)
            }
            guard buffer.count <= Self.longestLine else { return .tooLong }
            switch Self.poll([descriptor, interrupt], until: end) {
            case []: return .late
            case let ready where ready.contains(interrupt): return .interrupted
            default: break
            }
            var chunk = [UInt8](repeating: 0, count: 16_384)
            let count = read(descriptor, &chunk, chunk.count)
            if count > 0 {
                buffer.append(contentsOf: chunk[..<count])
            } else if count == 0 || errno != EINTR {
                return .ended
            }
        }
    }

    /// - Returns: the descriptors that can be read or are closed; none when the time is over.
    static func poll(_ descriptors: [Int32], until end: ContinuousClock.Instant) -> [Int32] {
        var entries = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        while true {
            let left = (end - ContinuousClock.now).components
            // Rounded up, so that the last poll does not spin; in slices, because the argument is a C int.
            let milliseconds = min(max(0, left.seconds * 1_000 + left.attoseconds / 1_000_000_000_000_000 + 1), 60_000)
            guard end > ContinuousClock.now else { return [] }
            let count = Foundation.poll(&entries, nfds_t(entries.count), Int32(milliseconds))
            if count > 0 { return entries.filter { $0.revents != 0 }.map(\.fd) }
        }
    }
}
