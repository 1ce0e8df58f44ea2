import CoreMetrics
import Synchronization

/// One number of one label set: a counter or a gauge. Lock-free.
///
/// Kept as a `Double`, as Prometheus reads it, so counts are exact up to 2^53.
package final class ScalarSeries: CounterHandler, FloatingPointCounterHandler, MeterHandler, RecorderHandler, Sendable {
    private let bits = Atomic<UInt64>(0)

    package init() {}

    package var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

    package func set(_ value: Double) {
        bits.store(value.bitPattern, ordering: .relaxed)
    }

    package func increment(by amount: Double) {
        var seen = bits.load(ordering: .relaxed)
        while true {
            let sum = (Double(bitPattern: seen) + amount).bitPattern
            let (exchanged, original) = bits.weakCompareExchange(expected: seen, desired: sum, ordering: .relaxed)
            if exchanged { return }
            seen = original
        }
    }

    package func increment(by amount: Int64) { increment(by: Double(amount)) }
    package func decrement(by amount: Double) { increment(by: -amount) }
    package func set(_ value: Int64) { set(Double(value)) }
    package func record(_ value: Int64) { set(Double(value)) }
    package func record(_ value: Double) { set(value) }
    package func reset() { set(0.0) }
}
