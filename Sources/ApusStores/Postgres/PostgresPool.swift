import ApusErrors
import Dispatch
import NIOConcurrencyHelpers

/// Connections that calls take turns with. None is opened before it is needed; one that failed is not given out again.
final class PostgresPool: Sendable {
    private struct State {
        var idle: [PostgresConnection] = []
        var open = 0
        var waiters: [(id: Int, continuation: CheckedContinuation<Bool, Never>)] = []
        var nextID = 0
        var isClosed = false
    }

    let settings: PostgresSettings
    private let state = NIOLockedValueBox(State())

    init(_ settings: PostgresSettings) {
        self.settings = settings
    }

    /// Runs `body` with a connection, on a thread that may block. Throws `store_unavailable` when none comes free, `cancelled`, and what `body` throws;
    /// two transactions that were in each other's way are tried again.
    func run<Value: Sendable>(
        _ body: @escaping @Sendable (PostgresConnection) throws(ApusError) -> Value
    ) async throws(ApusError) -> Value {
        try await takeTurn()
        let settings = settings
        let idle = state.withLockedValue { $0.idle.popLast() }
        let cancellation = PostgresCancellation()
        let (result, connection) = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<(Result<Value, ApusError>, PostgresConnection?), Never>) in
                DispatchQueue.global().async {
                    var connection = idle
                    var result = Result { () throws(ApusError) -> Value in
                        let used = try Self.connected(idle, settings)
                        connection = used
                        used.cancellation = cancellation
                        cancellation.begin(used.canceller())
                        return try Self.withRetries { () throws(ApusError) in try body(used) }
                    }
                    cancellation.finish()
                    connection?.cancellation = nil
                    if cancellation.isCancelled {
                        // The request to end it may arrive late, and must not end another's call.
                        connection?.leave()
                        if case .failure = result { result = .failure(StoreFailure.cancelled) }
                    }
                    continuation.resume(returning: (result, connection))
                }
            }
        } onCancel: {
            cancellation.cancel()
        }
        giveBack(connection)
        return try result.get()
    }

    /// `idle`, if it still lives: its server may have been started again meanwhile.
    private static func connected(_ idle: PostgresConnection?, _ settings: PostgresSettings) throws(ApusError) -> PostgresConnection {
        let deadline = ContinuousClock.now + settings.connectTimeout
        if let idle, (try? idle.run("SELECT 1", deadline: deadline)) != nil { return idle }
        return try PostgresConnection(settings, try PostgresLibrary.load(settings.library), deadline: deadline)
    }

    private static func withRetries<Value>(_ body: () throws(ApusError) -> Value) throws(ApusError) -> Value {
        for _ in 1..<mostAttempts {
            do throws(ApusError) {
                return try body()
            } catch {
                guard (error.cause as? PostgresRefusal)?.isTransient == true else { throw error }
            }
        }
        return try body()
    }

    /// Of transactions that were in each other's way.
    private static let mostAttempts = 4

    func close() {
        let waiters = state.withLockedValue { state in
            state.isClosed = true
            state.idle = []
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.continuation.resume(returning: false) }
    }

    /// Waits for one of ``PostgresSettings/connections`` turns.
    private func takeTurn() async throws(ApusError) {
        let id = state.withLockedValue { state in
            state.nextID += 1
            return state.nextID
        }
        let isGranted = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Bool, Never>) in
                let now = state.withLockedValue { state -> Bool? in
                    if state.isClosed || Task.isCancelled { return false }
                    if state.open < settings.connections {
                        state.open += 1
                        return true
                    }
                    state.waiters.append((id, continuation))
                    return nil
                }
                if let now { return continuation.resume(returning: now) }
                let wait = Int(settings.commandTimeout / .milliseconds(1))
                DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(wait)) { self.giveUp(id) }
            }
        } onCancel: {
            giveUp(id)
        }
        guard isGranted else {
            if Task.isCancelled { throw StoreFailure.cancelled }
            let isClosed = state.withLockedValue { $0.isClosed }
            throw ApusError(
                .storeUnavailable, isClosed ? "the collections are closed" : "all \(settings.connections) connections to PostgreSQL are busy",
                place: settings.address)
        }
    }

    /// Whoever still waits under this number does so no more.
    private func giveUp(_ id: Int) {
        let waiter = state.withLockedValue { state -> CheckedContinuation<Bool, Never>? in
            guard let place = state.waiters.firstIndex(where: { $0.id == id }) else { return nil }
            return state.waiters.remove(at: place).continuation
        }
        waiter?.resume(returning: false)
    }

    private func giveBack(_ connection: PostgresConnection?) {
        let next = state.withLockedValue { state -> CheckedContinuation<Bool, Never>? in
            if let connection, !connection.isBroken, !state.isClosed { state.idle.append(connection) }
            guard !state.waiters.isEmpty else {
                state.open -= 1
                return nil
            }
            return state.waiters.removeFirst().continuation
        }
        next?.resume(returning: true)
    }
}
