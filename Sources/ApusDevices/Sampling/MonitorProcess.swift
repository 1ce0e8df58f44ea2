package import ApusErrors
import CApusProcess
import Foundation

/// A running monitor and the front's end of the socket pair that it writes to. Killed when it goes out of scope.
struct MonitorProcess: ~Copyable {
    let processID: Int32
    let descriptor: Int32

    /// Throws `monitor_failure`.
    static func spawn(_ command: MonitorCommand) throws(ApusError) -> MonitorProcess {
        var pair: [Int32] = [-1, -1]
        let status = apus_socket_pair(&pair)
        guard status >= 0 else { throw failure(status, command) }
        defer { close(pair[1]) }

        let options = command.options.spawned(descriptor: APUS_FIRST_DESCRIPTOR)
        var arguments = ([command.executable] + command.arguments + options.arguments).map { strdup($0) } + [nil]
        // Swift's backtracer outlives the process that crashed, for minutes and with its end of the socket.
        let settings = ProcessInfo.processInfo.environment.merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 }
        var environment = settings.map { strdup("\($0)=\($1)") } + [nil]
        defer { for text in arguments + environment { free(text) } }
        let processID = apus_process_spawn(command.executable, &arguments, &environment, [pair[1]], 1)
        guard processID > 0 else {
            close(pair[0])
            throw failure(processID, command)
        }
        return MonitorProcess(processID: processID, descriptor: pair[0])
    }

    private init(processID: Int32, descriptor: Int32) {
        self.processID = processID
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
        kill(processID, SIGKILL)
        AbandonedChildren.shared.add(processID)
    }

    private static func failure(_ status: Int32, _ command: MonitorCommand) -> ApusError {
        ApusError(
            .monitorFailure, "the device monitor could not be started: \(String(cString: strerror(-status)))", place: command.executable)
    }
}

extension ApusError.Code {
    /// The process that samples devices does not start, does not answer or answers nonsense.
    package static let monitorFailure = Self(rawValue: "monitor_failure")
}
