/// Nanoseconds since the clock was made, for a planner that knows no clock.
package struct MonotonicClock: Sendable {
    private let origin = ContinuousClock.now

    package init() {}

    package var now: Int { nanoseconds(at: .now) }

    /// Clamped to what an `Int` holds.
    package func nanoseconds(at instant: ContinuousClock.Instant) -> Int {
        let (seconds, attoseconds) = origin.duration(to: instant).components
        let (whole, overflow) = Int(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        return whole &+ Int(attoseconds / 1_000_000_000)
    }
}
