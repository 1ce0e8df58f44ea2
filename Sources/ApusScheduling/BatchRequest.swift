import ApusErrors

/// One caller's inputs on their way through the batches.
struct BatchRequest<Output: Sendable>: Sendable {
    typealias Waiter = CheckedContinuation<Result<BatchAnswers<Output>, ApusError>, Never>

    /// Ids of the inputs whose results are missing.
    var waiting: Set<Int> = []
    var waiter: Waiter?
    /// Set when the request ended before anybody waited for it.
    var result: Result<BatchAnswers<Output>, ApusError>?
    /// Whether inputs that fail leave the others alone.
    let isPartial: Bool
    private var collected: BatchAnswers<Output>
    private var missing: Int

    /// A request of `count` rows, of which `missing` are to be computed.
    init(count: Int, missing: Int, isPartial: Bool) {
        collected = BatchAnswers(count: count)
        self.missing = missing
        self.isPartial = isPartial
    }

    var isOpen: Bool { result == nil }

    /// Stores the result of one row; returns everything when it was the last.
    mutating func fill(_ row: Int, with result: Result<Output, ApusError>, _ run: BatchAnswers<Output>.Run) -> BatchAnswers<Output>? {
        collected.rows[row] = result
        collected.runs[row] = run
        missing -= 1
        return missing == 0 ? collected : nil
    }
}
