package import ApusErrors
import Foundation

/// A running monitor and the front's end of the socket pair that is its standard input and output. Killed when it goes out of scope.
///
/// `posix_spawn` rather than Foundation's `Process`, whose thread waits for every child: a child that hangs in a driver may never end.
struct MonitorProcess: ~Copyable {
    let processID: pid_t
    /// Reads never block longer than there is something to read, because ``MonitorReader`` polls first.
    let descriptor: Int32

    /// Throws `monitor_failure`.
    static func spawn(_ command: MonitorCommand) throws(ApusError) -> MonitorProcess {
        var pair: [Int32] = [-1, -1]
        #if os(Linux)
            let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        #else
            let kind = SOCK_STREAM
        #endif
        guard socketpair(AF_UNIX, kind, 0, &pair) == 0 else { throw failure("no sockets for it: \(errorText(errno))", command) }
        #if !os(Linux)
            for descriptor in pair { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        #endif
        defer { close(pair[1]) }
        do throws(ApusError) {
            return MonitorProcess(processID: try start(command, on: pair[1]), descriptor: pair[0])
        } catch {
            close(pair[0])
            throw error
        }
    }

    private init(processID: pid_t, descriptor: Int32) {
        self.processID = processID
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
        kill(processID, SIGKILL)
        AbandonedChildren.shared.add(processID)
    }

    private static func start(_ command: MonitorCommand, on socket: Int32) throws(ApusError) -> pid_t {
        #if os(Linux)
            var actions = posix_spawn_file_actions_t()
            var attributes = posix_spawnattr_t()
        #else
            var actions: posix_spawn_file_actions_t?
            var attributes: posix_spawnattr_t?
        #endif
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, socket, 0)
        posix_spawn_file_actions_adddup2(&actions, socket, 1)

        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        for signal in [SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGQUIT] { sigaddset(&signals, signal) }
        posix_spawnattr_setsigdefault(&attributes, &signals)
        // In a group of its own, an interrupt from the terminal reaches the front alone, which then closes standard input.
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETPGROUP))

        var arguments = ([command.executable] + command.arguments + command.options.arguments).map { strdup($0) } + [nil]
        var environment = ProcessInfo.processInfo.environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { for text in arguments + environment { free(text) } }
        var processID: pid_t = 0
        let code = posix_spawn(&processID, command.executable, &actions, &attributes, &arguments, &environment)
        guard code == 0 else { throw failure(errorText(code), command) }
        return processID
    }

    private static func failure(_ why: String, _ command: MonitorCommand) -> ApusError {
        ApusError(.monitorFailure, "the device monitor could not be started: \(why)", place: command.executable)
    }

    private static func errorText(_ code: Int32) -> String { String(cString: strerror(code)) }
}

extension ApusError.Code {
    /// The process that samples devices does not start, does not answer or answers nonsense.
    package static let monitorFailure = Self(rawValue: "monitor_failure")
}
