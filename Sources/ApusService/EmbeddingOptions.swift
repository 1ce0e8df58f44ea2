/// What a caller asks of one embedding run, besides the inputs.
package struct EmbeddingOptions: Sendable {
    /// What happens to an input with more tokens than the model takes.
    package enum Truncation: Sendable, Equatable {
        /// Cut at the right, special tokens kept, and counted in the provenance.
        case right
        /// Refused with `.contextLengthExceeded`.
        case refuse
    }

    /// The class a request is queued in.
    package enum Priority: String, Sendable, CaseIterable {
        case high, medium, low
    }

    package var truncation: Truncation
    /// When the answer stops being of use. Nil: the caller waits as long as it takes.
    package var deadline: ContinuousClock.Instant?
    package var priority: Priority

    package init(
        truncation: Truncation = .right,
        deadline: ContinuousClock.Instant? = nil,
        priority: Priority = .medium
    ) {
        self.truncation = truncation
        self.deadline = deadline
        self.priority = priority
    }
}
