/// How fast a device usually computes, learnt from its own batches.
///
/// Batches of different sizes take different times for a token, since every batch has a fixed cost; so each is compared with others of
/// about its size.
///
/// On cores that others use too a batch takes longer though the device computes as fast as ever. Where the processor time of a device's
/// process is known, it is judged by the share of its batches' time in which it really computed.
struct SpeedBaseline: Sendable {
    /// Sizes are told apart by powers of two of their tokens.
    private static let sizes = 25
    /// Weight of a batch of usual speed.
    private static let rate = 0.05
    /// Batches of a size before it has a usual speed.
    private static let warmUp = 8
    /// In how long a lasting slowness becomes usual. Long, so that a device that throttles for an hour is not taken for a slow one.
    private static let habituation = 6 * 3600 * 1e9

    private struct Usual: Sendable {
        var secondsPerToken: Double
        var batches: Int
        /// When a batch that was too slow was last learnt from.
        var slowAt: Int?
    }

    private let slowness: Double
    private let recentCount: Int
    private var usual = [Usual?](repeating: nil, count: sizes)
    /// Recent batches of sizes that have a usual speed, oldest first: what they took, what is usual, and the processor time that the device's
    /// process had taken by their end, seconds.
    private var recent: [(taken: Double, expected: Double, computed: Double?)] = []

    init(slowness: Double, recentCount: Int) {
        self.slowness = slowness
        self.recentCount = recentCount
    }

    /// Time of the recent batches over their usual time; nil while too few are known.
    var slowdown: Double? {
        guard recent.count >= recentCount else { return nil }
        let expected = recent.reduce(0) { $0 + $1.expected }
        return expected > 0 ? recent.reduce(0) { $0 + $1.taken } * computingShare / expected : nil
    }

    /// Share of the time of the recent batches in which the device's process had a processor; 1 where that is not known.
    private var computingShare: Double {
        guard let first = recent.first?.computed, let last = recent.last?.computed else { return 1 }
        // The first batch ended where the measuring begins.
        let taken = recent.dropFirst().reduce(0) { $0 + $1.taken }
        return taken > 0 ? min(1, max(0, last - first) / taken) : 1
    }

    /// Batches without tokens or of impossible times are passed over.
    ///
    /// - Parameter computed: processor time that the device's process has taken so far, seconds; nil where it is not known.
    mutating func record(tokens: Int, seconds: Double, computed: Double?, now: Int) {
        guard tokens > 0, seconds > 0, seconds.isFinite else { return }
        let size = min(Self.sizes - 1, Int.bitWidth - 1 - tokens.leadingZeroBitCount)
        let perToken = seconds / Double(tokens)
        guard var usual = self.usual[size] else {
            self.usual[size] = Usual(secondsPerToken: perToken, batches: 1)
            return
        }
        if usual.batches >= Self.warmUp {
            if recent.count >= recentCount { recent.removeFirst() }
            recent.append((seconds, usual.secondsPerToken * Double(tokens), computed))
        }
        let change = perToken - usual.secondsPerToken
        if usual.batches < Self.warmUp {
            usual.secondsPerToken += change / Double(usual.batches + 1)
        } else if perToken > slowness * usual.secondsPerToken {
            let elapsed = usual.slowAt.map { Double(max(0, now - $0)) } ?? 0
            usual.secondsPerToken += change * min(1, elapsed / Self.habituation)
            usual.slowAt = now
        } else {
            usual.secondsPerToken += change * Self.rate
            usual.slowAt = nil
        }
        usual.batches = min(usual.batches + 1, Self.warmUp)
        self.usual[size] = usual
    }

    /// The device got a new worker: what was slow before may be gone.
    mutating func forgetRecent() { recent.removeAll() }
}
