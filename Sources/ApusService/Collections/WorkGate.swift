import ApusErrors
import NIOConcurrencyHelpers

/// Lets a bounded number of tasks work at once and a bounded number wait, first come, first served. Further ones are refused.
final class WorkGate: Sendable {
    private struct State {
        var running = 0
        var queue: [(number: UInt64, permit: CheckedContinuation<Void, any Error>)] = []
        var next: UInt64 = 0
        /// Seconds that the work takes, the latest counting most.
        var seconds = 0.0
    }

    private let limits: (running: Int, waiting: Int)
    private let noun: String
    private let state = NIOLockedValueBox(State())

    /// - Parameter noun: what is let through, in the plural.
    init(_ noun: String, running: Int, waiting: Int) {
        self.noun = noun
        limits = (running, waiting)
    }

    /// Runs `body` when it is its turn.
    /// - Throws: `.overloaded` with a ``RetryHint``, `CancellationError`, and what `body` throws.
    func pass<Result: Sendable>(_ body: () async throws -> Result) async throws -> Result {
        try await enter()
        let start = ContinuousClock.now
        defer { leave(after: start.duration(to: .now) / .seconds(1)) }
        return try await body()
    }

    private func enter() async throws {
        let number = state.withLockedValue { state in
            state.next &+= 1
            return state.next
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (permit: CheckedContinuation<Void, any Error>) in
                let verdict: Swift.Result<Void, any Error>? = state.withLockedValue { state in
                    // Whoever is cancelled from here on is found in the queue.
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if state.running < limits.running {
                        state.running += 1
                        return .success(())
                    }
                    guard state.queue.count < limits.waiting else { return .failure(refusal(state)) }
                    state.queue.append((number, permit))
                    return nil
                }
                if let verdict { permit.resume(with: verdict) }
            }
        } onCancel: {
            let permit = state.withLockedValue { state in
                state.queue.firstIndex { $0.number == number }.map { state.queue.remove(at: $0).permit }
            }
            permit?.resume(throwing: CancellationError())
        }
    }

    private func leave(after seconds: Double) {
        let permit = state.withLockedValue { state in
            state.seconds += (seconds - state.seconds) / 8
            guard !state.queue.isEmpty else {
                state.running -= 1
                return CheckedContinuation<Void, any Error>?.none
            }
            return state.queue.removeFirst().permit
        }
        permit?.resume()
    }

    private func refusal(_ state: State) -> ApusError {
        let wait = state.seconds * Double(state.queue.count + 1) / Double(limits.running)
        return ApusError(
            .overloaded, "\(state.queue.count) \(noun) are waiting already", advice: "Try again later",
            cause: RetryHint(seconds: Int(min(60, wait.rounded(.up)))))
    }
}
