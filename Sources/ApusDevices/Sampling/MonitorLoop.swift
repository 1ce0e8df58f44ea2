import ApusErrors
import Foundation

/// The monitor's thread: spawn, read lines, kill, back off.
final class MonitorLoop: Sendable {
    private let command: MonitorCommand
    private let interrupt: Interrupt
    private let report: @Sendable (DeviceMonitor.Report) -> Void

    init(_ command: MonitorCommand, interrupt: Interrupt, report: @escaping @Sendable (DeviceMonitor.Report) -> Void) {
        self.command = command
        self.interrupt = interrupt
        self.report = report
    }

    func stop() {
        interrupt.fire()
    }

    /// How one process ended.
    private enum End {
        case stopped
        case absent(String)
        /// After so many good lines.
        case failed(String, lines: Int)
    }

    func run() {
        var roster = DeviceRoster()
        var failures = 0
        while true {
            switch listen(&roster) {
            case .stopped: return
            case .absent(let reason): return report(.absent(reason: reason))
            case .failed(let reason, let lines):
                if lines >= 10 { failures = 0 }
                report(.unreadable(reason: reason))
                let pause = command.backoff[min(failures, command.backoff.count - 1)]
                failures = min(failures + 1, command.backoff.count)
                guard MonitorReader.poll([interrupt.descriptor], until: .now + pause).isEmpty else { return }
            }
        }
    }

    /// The life of one process, which is dead or dying on return.
    private func listen(_ roster: inout DeviceRoster) -> End {
        var lines = 0
        do throws(ApusError) {
            let process = try MonitorProcess.spawn(command)
            defer { withExtendedLifetime(process) {} }
            var reader = MonitorReader(descriptor: process.descriptor, interrupt: interrupt.descriptor)
            while true {
                let patience = lines == 0 ? command.startDeadline : command.lineDeadline
                switch reader.next(until: .now + patience) {
                case .interrupted: return .stopped
                case .late: return .failed("the device monitor did not answer within \(patience)", lines: lines)
                case .ended: return .failed("the device monitor ended", lines: lines)
                case .tooLong: return .failed("the device monitor wrote a line without end", lines: lines)
                case .line(let bytes):
                    switch try MonitorLine(json: bytes) {
                    case .absent(let reason): return .absent(reason)
                    case .failed(let reason): return .failed(reason, lines: lines)
                    case .snapshot(let snapshot):
                        lines += 1
                        report(.snapshot(roster.take(snapshot)))
                    }
                }
            }
        } catch {
            return .failed(error.description, lines: lines)
        }
    }
}
