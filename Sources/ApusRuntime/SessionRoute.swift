import ApusErrors
import ApusExecution
import ApusORT
import ApusTensor

/// Where the steps of a model run, and in which session.
enum SessionRoute: Sendable {
    /// On the thread of the caller, any number at once: the CPU.
    case anywhere(Session)
    /// One after the other on a thread of the session's own: accelerators whose providers Apus knows no more of.
    case oneThread(Session, SessionThread)
    /// A session for each lane: CUDA, where what one lane copies runs beside what another computes.
    case lanes(LaneSessions)

    /// - Parameter sessions: of one model, one or more.
    init(_ routing: SessionRouting, _ sessions: [Session]) throws(ApusError) {
        guard let first = sessions.first else { throw ApusError(.engineFailure, "a model has no session") }
        switch routing {
        case .anywhere: self = .anywhere(first)
        case .oneThread: self = .oneThread(first, SessionThread(name: "apus-session"))
        case .lanes: self = .lanes(try LaneSessions(sessions))
        }
    }

    /// Runs a step and hands over its outputs; the arguments are those of ``Session/run(_:outputs:profile:receive:)``.
    typealias Run = (
        [TensorArgument], [Int], String?, (Int, ElementType, [Int], UnsafeRawBufferPointer) throws(ApusError) -> HostTensor
    ) throws(ApusError) -> [HostTensor]

    /// Has `step` run where it belongs. With `released`, what it computed in is given back behind it.
    func perform(released: Bool, _ step: @escaping @Sendable (Run) throws(ApusError) -> [HostTensor]) throws(ApusError) -> [HostTensor] {
        switch self {
        case .anywhere(let session):
            return try Self.perform(step, in: session, released)
        case .oneThread(let session, let thread):
            return try thread.perform { () throws(ApusError) in try Self.perform(step, in: session, released) }
        case .lanes(let lanes):
            return try lanes.perform(released: released, step)
        }
    }

    private static func perform(
        _ step: (Run) throws(ApusError) -> [HostTensor], in session: Session, _ released: Bool
    ) throws(ApusError) -> [HostTensor] {
        let results = try step { arguments, places, profile, receive throws(ApusError) in
            try session.run(arguments, outputs: places, profile: profile, receive: receive)
        }
        // The result is there; memory that could not be given back is no reason to lose it.
        if released { try? session.releaseUnusedMemory() }
        return results
    }

    /// What the sessions hold of their device's memory.
    func statistics() throws(ApusError) -> ArenaStatistics {
        switch self {
        case .anywhere(let session), .oneThread(let session, _): try session.statistics()
        case .lanes(let lanes): try lanes.statistics()
        }
    }

    /// Gives back what the sessions' arenas hold unused.
    func releaseUnusedMemory() throws(ApusError) {
        switch self {
        case .anywhere(let session): try session.releaseUnusedMemory()
        case .oneThread(let session, let thread): try thread.perform { () throws(ApusError) in try session.releaseUnusedMemory() }
        case .lanes(let lanes): try lanes.releaseUnusedMemory()
        }
    }
}
