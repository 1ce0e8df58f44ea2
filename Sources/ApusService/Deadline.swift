import ApusErrors

/// Holds work to a moment in time, also when the work itself does not look at the clock.
enum Deadline {
    static var exceeded: ApusError {
        ApusError(.deadlineExceeded, "the request was not answered before its deadline")
    }

    /// Runs `body`; when `deadline` comes first, cancels it and throws `.deadlineExceeded` once it has let go.
    static func race<Result: Sendable>(
        _ deadline: ContinuousClock.Instant?,
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        guard let deadline else { return try await body() }
        return try await withThrowingTaskGroup(of: Result.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(until: deadline, clock: .continuous)
                throw exceeded
            }
            defer { group.cancelAll() }
            guard let result = try await group.next() else { throw CancellationError() }
            return result
        }
    }
}
