package import ApusBatching

/// What a caller asks of one run, besides its inputs.
package struct BatchOptions: Sendable {
    /// When the answer stops being of use; nil waits for ever.
    package var deadline: ContinuousClock.Instant?
    package var priority: Priority
    /// Whose share of the device it counts against; 0 for nobody's in particular.
    package var client: Int
    /// Whether inputs that fail alone leave the others alone.
    package var isPartial: Bool

    package init(
        deadline: ContinuousClock.Instant? = nil, priority: Priority = .medium, client: Int = 0, isPartial: Bool = false
    ) {
        self.deadline = deadline
        self.priority = priority
        self.client = client
        self.isPartial = isPartial
    }
}
