/// How much longer than predicted all but one in fifty sequences wait at most.
///
/// Batches are filled by length, so that of those who came together some run early and some late, and a request is answered when its last sequence
/// is; other load slows the device between two looks. A quantile found step by step follows both: up by 0.98 of a step for a wait beyond it, down by
/// 0.02 of a step for one below (H. Robbins, S. Monro, A Stochastic Approximation Method, 1951). With nine of ten, one request of eight texts in
/// eight came too late under overload, and had kept the lanes from others.
struct WaitFactor: Sendable {
    private static let quantile = 0.98
    private static let step = 0.02
    /// Not below 1: those who come first after many have expired wait less than predicted, and a queue that is filled by their measure at once is
    /// late as a whole.
    private static let bounds = 1.0...4.0
    /// Shorter predictions say nothing, nanoseconds: one batch more or less is all they are.
    private static let leastPrediction = 20_000_000

    private(set) var value = 1.0

    /// - Parameter isOver: false while the sequence waits still, and may wait longer.
    mutating func record(predicted: Int, from enqueued: Int, to now: Int, isOver: Bool = true) {
        let (waited, overflow) = now.subtractingReportingOverflow(enqueued)
        guard predicted >= Self.leastPrediction, !overflow, waited >= 0 else { return }
        let ratio = Double(waited) / Double(predicted)
        if ratio > value {
            value = min(Self.bounds.upperBound, value + Self.step * Self.quantile)
        } else if isOver {
            value = max(Self.bounds.lowerBound, value - Self.step * (1 - Self.quantile))
        }
    }
}
