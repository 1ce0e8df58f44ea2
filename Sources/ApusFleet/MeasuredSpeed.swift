/// How fast one lane of a device computes, learnt from its batches.
package struct MeasuredSpeed: Sendable {
    private var tokens = 0.0
    private var seconds = 0.0
    private var batches = 0
    /// What was last told; changes by small steps are not worth a new decision.
    private var told: Double?

    /// Batches before a device counts as measured.
    private static let fewest = 8
    /// What is left of the weight of a batch with every batch after it.
    private static let memory = 0.98
    /// By which share a speed changes before it is told anew.
    private static let step = 0.1

    package init() {}

    /// Batches without tokens or of impossible times are passed over.
    package mutating func record(tokens count: Int, seconds taken: Double) {
        guard count > 0, taken > 0, taken.isFinite else { return }
        tokens = tokens * Self.memory + Double(count)
        seconds = seconds * Self.memory + taken
        batches = min(batches + 1, Self.fewest)
    }

    /// Tokens a second of one lane; nil while too few batches are known. Stays as it is until the speed has changed by a tenth.
    package mutating func tokensPerSecond() -> Double? {
        guard batches >= Self.fewest, seconds > 0 else { return nil }
        let speed = tokens / seconds
        if let told, abs(speed - told) <= Self.step * told { return told }
        told = speed
        return speed
    }
}
