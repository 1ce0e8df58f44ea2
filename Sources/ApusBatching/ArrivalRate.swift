/// Sequences that arrive per second, calls that bring them, and how many were here at once, over about the last second.
struct ArrivalRate: Sendable {
    /// Seconds after which an arrival counts for 1/e.
    private static let memory = 1.0

    private var sequences = 0.0
    private var calls = 0.0
    private var peak = 0.0
    /// When the last ones came: nanoseconds.
    private(set) var last: Int?

    /// `count` sequences came, and with them `present` wait or run.
    mutating func record(_ count: Int, present: Int, now: Int) {
        guard count > 0 else { return }
        let decay = decay(now: now)
        sequences = sequences * decay + Double(count)
        calls = calls * decay + 1
        peak = max(peak * decay, Double(present))
        last = max(now, last ?? now)
    }

    func sequencesPerSecond(now: Int) -> Double {
        sequences * decay(now: now) / Self.memory
    }

    func callsPerSecond(now: Int) -> Double {
        calls * decay(now: now) / Self.memory
    }

    /// Whether fewer wait or run than there were lately: only then is there somebody who could send more.
    func isAnyoneMissing(present: Int, now: Int) -> Bool {
        Double(present) + 0.5 < peak * decay(now: now)
    }

    /// `exp(-x)` by the reciprocal of its series, which is close for small steps and falls to 0 for large ones.
    private func decay(now: Int) -> Double {
        guard let last else { return 0 }
        let x = max(0, Double(now) - Double(last)) * 1e-9 / Self.memory
        return 1 / (1 + x * (1 + x * (0.5 + x / 6)))
    }
}
