/// Nanoseconds since the clock was made, for a planner that knows no clock.
struct MonotonicClock: Sendable {
    private let origin = ContinuousClock.now

    var now: Int { nanoseconds(at: .now) }

    /// Clamped to what an `Int` holds.
    func nanoseconds(at instant: ContinuousClock.Instant) -> Int {
        let (seconds, attoseconds) = origin.duration(to: instant).components
        let (whole, overflow) = Int(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        return whole &+ Int(attoseconds / 1_000_000_000)
    }
}
