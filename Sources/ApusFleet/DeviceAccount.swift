import ApusDevices
import ApusExecution

/// What one device has done so far.
struct DeviceAccount: Sendable {
    /// Batches that run now.
    var running = 0
    private(set) var batches = 0
    private(set) var failures = 0
    private(set) var sequences = 0
    private(set) var busySeconds = 0.0
    /// Of the last batches, moving.
    private(set) var averageSeconds: Double?
    private(set) var recent = RecentWork()
    var speed = MeasuredSpeed()
    private(set) var lastFailure: DeviceFailure?
    var verdict: HealthVerdict?
    /// When the verdict was last told, nanoseconds on the fleet's clock.
    var judgedAt = 0

    mutating func ended(_ report: BatchReport, now: Int) {
        // A report without tokens is news about an earlier batch, not a batch.
        guard report.tokens > 0 else { return }
        running = max(0, running - 1)
        switch report.result {
        case .succeeded:
            batches += 1
            sequences += report.sequences
            recent.record(report.sequences, now: now)
            speed.record(tokens: report.tokens, seconds: report.seconds)
            busySeconds += report.seconds
            averageSeconds = averageSeconds.map { $0 * 0.95 + report.seconds * 0.05 } ?? report.seconds
        case .failed(let failure, _):
            failures += 1
            lastFailure = failure
        }
    }
}
