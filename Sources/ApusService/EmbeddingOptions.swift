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

        /// The less urgent of both.
        package func capped(at highest: Priority) -> Priority {
            switch (self, highest) {
            case (.low, _), (_, .low): .low
            case (.medium, _), (_, .medium): .medium
            case (.high, .high): .high
            }
        }
    }

    package var truncation: Truncation
    /// When the answer stops being of use. Nil: the caller waits as long as it takes.
    package var deadline: ContinuousClock.Instant?
    package var priority: Priority
    /// The key the request came with; nil without one. The service fills it in.
    package var client: ClientKey?
    /// Whether an input that fails alone leaves the others their answer. When not, its failure is the request's.
    package var partial: Bool

    package init(
        truncation: Truncation = .right,
        deadline: ContinuousClock.Instant? = nil,
        priority: Priority = .medium,
        client: ClientKey? = nil,
        partial: Bool = false
    ) {
        self.truncation = truncation
        self.deadline = deadline
        self.priority = priority
        self.client = client
        self.partial = partial
    }
}
