/// A token bucket: an allowance that refills evenly and may be spent at once. Pure; the caller brings the time.
///
/// What something costs may be known only afterwards: an estimate is taken first and put right later, so the level may fall below zero
/// and then refills from there.
package struct RateBucket: Sendable, Equatable {
    /// What a full bucket holds: a minute's worth.
    package let capacity: Double
    private var level: Double
    private var updated: ContinuousClock.Instant

    /// A full bucket.
    package init(perMinute: Int, now: ContinuousClock.Instant) {
        capacity = Double(max(1, perMinute))
        level = capacity
        updated = now
    }

    /// Seconds until `amount` may be taken; 0 when it may be now. What is more than the bucket can ever hold may be taken from a full one.
    package mutating func wait(for amount: Double, now: ContinuousClock.Instant) -> Double {
        let elapsed = updated.duration(to: now) / .seconds(1)
        if elapsed > 0 {
            level = min(capacity, level + elapsed * capacity / 60)
            updated = now
        }
        // A billionth of the capacity forgives what rounding leaves short of a whole token.
        let missing = min(amount, capacity) * (1 - 1e-9) - level
        return max(0, missing * 60 / capacity)
    }

    /// Takes `amount`, or gives it back when it is negative, whatever the level.
    package mutating func take(_ amount: Double) {
        level = min(capacity, level - amount)
    }
}
