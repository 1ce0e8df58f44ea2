import ApusErrors
package import ApusExecution

/// How a worker ended.
package enum WorkerDeath: Sendable, Equatable {
    package enum Crash: Sendable, Equatable {
        /// A signal of its own making: SIGSEGV, SIGILL (a Swift trap), SIGABRT, SIGBUS …
        case signal(Int32)
        /// An exit nobody asked for.
        case exit(Int32)
        /// It said something that no worker says, and was ended for it.
        case breach(String)
        /// It is gone, and nobody can say how.
        case unknown
    }

    /// Somebody else ended it: SIGKILL (the kernel's out-of-memory killer too), SIGTERM, SIGINT or SIGHUP.
    case killed(signal: Int32)
    case crashed(Crash)
    /// It ended itself because its device context was poisoned.
    case sticky
    /// It did not answer in time and was killed.
    case hung
    /// It was shut down by its executor.
    case stopped
}

extension WorkerDeath {
    package var failure: DeviceFailure {
        switch self {
        case .killed: .killed
        case .crashed: .crashed
        case .sticky: .sticky
        case .hung: .hung
        case .stopped: .unavailable
        }
    }
}

extension WorkerDeath: CustomStringConvertible {
    package var description: String {
        switch self {
        case .killed(let signal): "was ended from outside by \(Self.name(signal))"
        case .crashed(.signal(let signal)): "crashed with \(Self.name(signal))"
        case .crashed(.exit(let status)): "ended itself with status \(status)"
        case .crashed(.breach(let what)): "sent \(what) and was ended"
        case .crashed(.unknown): "is gone"
        case .sticky: "ended itself because its device is poisoned"
        case .hung: "did not answer in time and was killed"
        case .stopped: "was shut down"
        }
    }

    private static func name(_ signal: Int32) -> String {
        let names: [Int32: String] = [
            1: "SIGHUP", 2: "SIGINT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM",
        ]
        return names[signal] ?? "signal \(signal)"
    }
}

/// The end of a process as the system tells it.
package enum ProcessExit: Sendable, Equatable {
    case status(Int32)
    case signal(Int32)
    /// It could not be reaped: it has not ended yet, or somebody else reaped it.
    case unknown
}

/// What a worker's exit status means.
package enum WorkerExit {
    /// Told to stop, or the front is gone.
    package static let stopped: Int32 = 0
    /// The device context is poisoned.
    package static let sticky: Int32 = 86
    /// The front sent something that no front sends, or the worker was started by hand.
    package static let breach: Int32 = 87
    /// The engine or the device cannot be used; the reason has been sent.
    package static let unusable: Int32 = 88
}

/// Why a front gave its worker up.
package enum Verdict: Sendable, Equatable {
    /// A connection ended.
    case gone
    case breach(String)
    case poisoned
    /// These channels missed their deadlines; none of them: no heartbeat.
    case hung(channels: Set<Int>)
    case stopped
}

extension Verdict {
    init(_ fault: FrameFault) {
        switch fault {
        case .closed: self = .gone
        case .malformed(let what): self = .breach(what)
        case .system(let number): self = .breach("nothing that can be read (error \(number))")
        }
    }
}

extension WorkerDeath {
    /// - Parameter exit: how the process ended, as far as known. After a verdict for which the front kills it says nothing.
    package init(_ verdict: Verdict, _ exit: ProcessExit) {
        switch (verdict, exit) {
        case (.stopped, _): self = .stopped
        case (.hung, _): self = .hung
        case (.poisoned, _): self = .sticky
        case (.breach(let what), _): self = .crashed(.breach(what))
        case (.gone, .status(WorkerExit.sticky)): self = .sticky
        case (.gone, .status(let status)): self = .crashed(.exit(status))
        // SIGHUP, SIGINT, SIGKILL, SIGTERM
        case (.gone, .signal(let signal)): self = [1, 2, 9, 15].contains(signal) ? .killed(signal: signal) : .crashed(.signal(signal))
        case (.gone, .unknown): self = .crashed(.unknown)
        }
    }
}

/// A worker's end together with who may have caused it.
package struct DeathRecord: Sendable, Equatable {
    package var death: WorkerDeath
    package var verdict: Verdict

    package init(death: WorkerDeath, verdict: Verdict) {
        self.death = death
        self.verdict = verdict
    }

    /// What became of a call that was under way on `channel`. After a hang only the channels that missed their deadlines are to blame; the
    /// others lost their process through no fault of theirs.
    package func failure(onChannel channel: Int) -> DeviceFailure {
        if case .hung(let channels) = verdict, !channels.contains(channel) { return .killed }
        return death.failure
    }
}
