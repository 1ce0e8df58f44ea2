import Dispatch
import NIOConcurrencyHelpers

/// Lets a call to the database be given up from another thread than that which waits for it.
final class PostgresCancellation: Sendable {
    private struct State {
        var send: (@Sendable () -> Void)?
        var end: ContinuousClock.Instant?
    }

    private let state = NIOLockedValueBox(State())

    /// How long a server has to say that it ended the call.
    private static let patience = Duration.seconds(1)

    /// When to stop waiting for the server; nil for a call that is not given up.
    var end: ContinuousClock.Instant? { state.withLockedValue { $0.end } }

    var isCancelled: Bool { end != nil }

    /// - Parameter send: asks the server to end the call.
    func begin(_ send: (@Sendable () -> Void)?) {
        let isLate = state.withLockedValue { state in
            state.send = send
            return state.end != nil
        }
        if isLate { ask(send) }
    }

    /// The connection is not used any more.
    func finish() { state.withLockedValue { $0.send = nil } }

    func cancel() {
        let send = state.withLockedValue { state in
            state.end = state.end ?? ContinuousClock.now + Self.patience
            return state.send
        }
        ask(send)
    }

    /// On a thread that may block: it connects.
    private func ask(_ send: (@Sendable () -> Void)?) {
        if let send { DispatchQueue.global().async(execute: send) }
    }
}
