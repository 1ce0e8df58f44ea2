import ApusErrors
package import ApusExecution
package import ApusTensor

/// One caller's sequences on their way through the batches.
struct EmbeddingRequest: Sendable {
    typealias Waiter = CheckedContinuation<Result<EmbeddedSequences, ApusError>, Never>

    /// Ids of the sequences that are still in the queue.
    var waiting: Set<Int> = []
    var waiter: Waiter?
    /// Set when the request ended before anybody waited for it.
    var result: Result<EmbeddedSequences, ApusError>?
    private var collected: EmbeddedSequences
    private var missing: Int

    init(count: Int, dimensions: Int) {
        collected = EmbeddedSequences(count: count, dimensions: dimensions)
        missing = count
    }

    var isOpen: Bool { result == nil }

    /// Stores one row; returns everything when it was the last.
    mutating func fill(
        _ row: Int, with vector: ArraySlice<Float>, _ run: EmbeddedSequences.Run
    ) -> EmbeddedSequences? {
        let width = collected.dimensions
        collected.vectors.replaceSubrange((row * width)..<((row + 1) * width), with: vector)
        collected.runs[row] = run
        missing -= 1
        return missing == 0 ? collected : nil
    }
}

/// The vectors of one request and how each was made.
package struct EmbeddedSequences: Sendable {
    /// How one vector was computed.
    package struct Run: Sendable {
        package var device = DeviceID(.cpu, 0)
        package var precision = Precision.fp32
        /// Whether the device stood in for another.
        package var fallback = FallbackStage.none
        /// Sequences in its batch.
        package var batchSize = 0
        /// Padding of its row, in tokens.
        package var padding = 0
        package var queueNanoseconds = 0
        package var runNanoseconds = 0
    }

    /// Row-major `[count, dimensions]`.
    package var vectors: [Float]
    package let dimensions: Int
    package var runs: [Run]

    init(count: Int, dimensions: Int) {
        vectors = [Float](repeating: 0, count: count * dimensions)
        runs = [Run](repeating: Run(), count: count)
        self.dimensions = dimensions
    }
}
