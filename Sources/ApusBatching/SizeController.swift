/// Keeps the latency of one device near its target by the size of its batches.
///
/// The budget grows by a quarter while the 95th percentile of latencies is below 0.8 of the target, and shrinks by a fifth above 1.2.
/// Late answers have two reasons, though. A batch that takes long itself is to shrink. When answers are late because they waited for their
/// turn, smaller batches would carry less and make them later still: then the budget grows, until a batch takes about half of the target, since a
/// sequence that just missed one batch waits for it and then runs in the next.
package struct SizeController: Sendable {
    /// Latencies that a decision needs, unless there were many batches.
    private static let enoughLatencies = 20
    private static let leastBatches = 3
    private static let enoughBatches = 8
    /// Parts of the target that a batch may take: below the first the budget may grow, above the second it may shrink, for late answers.
    private static let quickBatch = 0.4
    private static let slowBatch = 0.55
    /// A budget that no batch comes near to, nor to within a sequence, is not what limits.
    private static let fullBatch = 0.7

    private let target: Double
    /// Tokens that a batch may hold at most.
    private var most: Int
    private var size: Double
    private var latencies: [Int] = []
    private var batches = 0
    private var runSeconds = 0.0
    private var largest = 0
    /// Batches to come that were bound under the last budget.
    private var stale = 0
    /// Tokens of a sequence, averaged.
    private var length: Double?

    /// `target` in seconds; the budget starts at `most` tokens.
    package init(target: Double, most: Int) {
        self.target = target
        self.most = max(most, 1)
        size = Double(self.most)
    }

    /// Tokens that a batch may hold now.
    package var budget: Int { Int(exactly: size.rounded()) ?? most }

    /// Changes the upper end.
    package mutating func setMost(_ most: Int) {
        guard max(most, 1) != self.most else { return }
        self.most = max(most, 1)
        size = min(size, Double(self.most))
    }

    /// A batch ended: `latencies` are nanoseconds from enqueue to answer, `inFlight` the batches that run on the device still.
    package mutating func record(_ shape: BatchShape, nanoseconds: Int, latencies answered: [Int], inFlight: Int) {
        guard shape.count > 0, nanoseconds > 0 else { return }
        let mean = Double(shape.tokens) / Double(shape.count)
        length = length.map { $0 * 0.9 + mean * 0.1 } ?? mean
        guard stale == 0 else {
            stale -= 1
            return
        }
        batches += 1
        runSeconds += Double(nanoseconds) * 1e-9
        largest = max(largest, shape.tokens)
        latencies += answered
        guard batches >= Self.enoughBatches || (batches >= Self.leastBatches && latencies.count >= Self.enoughLatencies) else { return }
        decide(inFlight: inFlight)
    }

    private mutating func decide(inFlight: Int) {
        let run = runSeconds / Double(batches) / target
        let latency = latencies.isEmpty ? run : percentile95 / target
        let isBinding = Double(largest) >= Self.fullBatch * size || Double(largest) + (length ?? 0) > size
        if latency < 0.8 {
            if isBinding { resize(1.25, inFlight) }
        } else if latency > 1.2 {
            if run > Self.slowBatch { resize(0.8, inFlight) } else if run < Self.quickBatch, isBinding { resize(1.25, inFlight) }
        }
        latencies.removeAll(keepingCapacity: true)
        batches = 0
        runSeconds = 0
        largest = 0
    }

    private mutating func resize(_ factor: Double, _ inFlight: Int) {
        let least = min(Double(most), max(1, length ?? 1))
        let before = budget
        size = min(Double(most), max(least, size * factor))
        if budget != before { stale = max(0, inFlight) }
    }

    /// Seconds.
    private var percentile95: Double {
        let sorted = latencies.sorted()
        let place = min(sorted.count - 1, sorted.count * 95 / 100)
        return place >= 0 ? Double(sorted[place]) * 1e-9 : 0
    }
}
