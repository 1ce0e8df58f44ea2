package import ApusErrors
import Foundation

/// The front's side of device sampling: keeps one monitor process running, listens to it with a deadline, kills and replaces it when it
/// does not answer.
package final class DeviceMonitor: Sendable {
    package enum Report: Sendable, Equatable {
        case snapshot(DeviceSnapshot)
        /// The monitor is not to be read; what came before is out of date. A new process is on its way.
        case unreadable(reason: String)
        /// There is nothing to monitor on this machine. The last report.
        case absent(reason: String)
    }

    private let loop: MonitorLoop

    /// Starts monitoring.
    ///
    /// - Parameter report: called on the monitor's thread, one report after the other; it must not block.
    package init(_ command: MonitorCommand, report: @escaping @Sendable (Report) -> Void) throws(ApusError) {
        loop = MonitorLoop(command, interrupt: try Interrupt(), report: report)
        let loop = loop
        let thread = Thread { loop.run() }
        thread.name = "apus-monitor"
        thread.start()
    }

    deinit {
        loop.stop()
    }

    /// Ends the process and the reports. Waits for neither.
    package func stop() {
        loop.stop()
    }

    /// Monitoring as a stream, which ends when there is nothing to monitor and stops monitoring when it is let go.
    package static func reports(_ command: MonitorCommand) throws(ApusError) -> AsyncStream<Report> {
        let (stream, continuation) = AsyncStream.makeStream(of: Report.self)
        let monitor = try DeviceMonitor(command) { report in
            continuation.yield(report)
            if case .absent = report { continuation.finish() }
        }
        continuation.onTermination = { _ in monitor.stop() }
        return stream
    }
}

/// A descriptor that becomes readable, once and for ever.
final class Interrupt: Sendable {
    let descriptor: Int32
    private let other: Int32

    init() throws(ApusError) {
        var pair: [Int32] = [-1, -1]
        guard pipe(&pair) == 0 else {
            throw ApusError(.monitorFailure, "no pipe for the device monitor: \(String(cString: strerror(errno)))")
        }
        for descriptor in pair { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        descriptor = pair[0]
        other = pair[1]
    }

    deinit {
        close(descriptor)
        close(other)
    }

    func fire() {
        var byte: UInt8 = 0
        _ = write(other, &byte, 1)
    }
}
