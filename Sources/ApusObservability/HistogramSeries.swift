import CoreMetrics
import Synchronization

/// A histogram of one label set. Times are kept in seconds.
package final class HistogramSeries: RecorderHandler, TimerHandler, Sendable {
    /// Counts at one moment.
    package struct Snapshot: Sendable, Equatable {
        /// Observations in each bucket alone, one more than there are bounds (the last has no upper bound).
        package var counts: [UInt64]
        package var sum: Double

        package var total: UInt64 { counts.reduce(0, &+) }
    }

    package let bounds: [Double]
    private let state: Mutex<Snapshot>

    /// - Parameter bounds: upper bounds, ascending and finite; a value equal to a bound counts below it.
    package init(bounds: [Double]) {
        self.bounds = bounds
        self.state = Mutex(Snapshot(counts: Array(repeating: 0, count: bounds.count + 1), sum: 0))
    }

    package var snapshot: Snapshot { state.withLock { $0 } }

    /// Counts `value`. One that is not a number tells nothing and is left out.
    package func record(_ value: Double) {
        guard !value.isNaN else { return }
        let bucket = bucketIndex(of: value)
        state.withLock {
            $0.counts[bucket] &+= 1
            $0.sum += value
        }
    }

    package func record(_ value: Int64) { record(Double(value)) }
    package func recordNanoseconds(_ duration: Int64) { record(Double(duration) * 1e-9) }

    /// The first bucket whose bound is not below `value`, by bisection.
    private func bucketIndex(of value: Double) -> Int {
        var low = 0
        var high = bounds.count
        while low < high {
            let middle = low + (high - low) / 2
            if bounds[middle] < value { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
