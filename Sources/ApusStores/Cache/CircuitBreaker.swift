/// Whether something outside that answers slowly or not at all is still asked. Pure: who asks tells it what happened.
///
/// After some failures in a row nobody asks any more until it was tried aside from all requests; each time that it fails again the pause before
/// the next trial is twice as long.
struct CircuitBreaker: Sendable {
    private(set) var isOpen = true
    private var failuresInARow = 0
    private var pauses = 0

    /// Failures in a row, of requests that still waited for it.
    private static let patience = 3
    private static let firstPauseMilliseconds: Int64 = 500
    private static let longestPauseMilliseconds: Int64 = 30_000

    /// A trial went well: requests may ask again.
    mutating func close() {
        isOpen = false
        failuresInARow = 0
    }

    /// A request was answered in time.
    mutating func succeeded() {
        failuresInARow = 0
        pauses = 0
    }

    /// A request was not. True when nobody is to ask any more from now on.
    mutating func failed() -> Bool {
        failuresInARow += 1
        guard failuresInARow >= Self.patience, !isOpen else { return false }
        return true
    }

    /// Nobody asks any more. Returns for how many milliseconds it is left alone.
    mutating func open() -> Int64 {
        isOpen = true
        defer { pauses += 1 }
        return min(Self.longestPauseMilliseconds, Self.firstPauseMilliseconds << Int64(min(pauses, 16)))
    }
}
