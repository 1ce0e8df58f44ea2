/// Sequences that arrive per second, averaged over about the last second.
struct ArrivalRate: Sendable {
    /// Seconds after which an arrival counts for 1/e.
    private static let memory = 1.0

    private var weight = 0.0
    private var last: Int?

    mutating func record(_ count: Int, now: Int) {
        weight = decayed(now: now) + Double(count)
        last = max(now, last ?? now)
    }

    func perSecond(now: Int) -> Double {
        decayed(now: now) / Self.memory
    }

    /// `exp(-x)` by the reciprocal of its series, which is close for small steps and falls to 0 for large ones.
    private func decayed(now: Int) -> Double {
        guard let last else { return 0 }
        let x = max(0, Double(now) - Double(last)) * 1e-9 / Self.memory
        return weight / (1 + x * (1 + x * (0.5 + x / 6)))
    }
}
