/// Decides when a worker is asked for a sign of life and when it counts as hung. Pure: times go in, decisions come out.
package struct WorkerWatch: Sendable {
    package enum Decision: Equatable, Sendable {
        case wait
        case ping
        /// See ``Verdict/hung(channels:)``.
        case hung(channels: Set<Int>)
    }

    /// Nanoseconds.
    private let interval: Int64
    private let patience: Int64
    private var nextPing: Int64
    /// When the ping that is not yet answered was sent.
    private var waitingSince: Int64?
    package private(set) var lastPong: Int64

    /// How long the watch may go unattended: steps that begin meanwhile have deadlines later than that.
    private static let longestNap: Int64 = 500_000_000

    package init(interval: Duration, patience: Duration, start: Int64) {
        self.interval = max(1_000_000, interval.nanoseconds)
        self.patience = patience.nanoseconds
        nextPing = start
        lastPong = start
    }

    /// - Parameter deadlines: by channel, of the calls whose answers have not come.
    package mutating func look(at now: Int64, deadlines: [Int: Int64]) -> Decision {
        let overdue = deadlines.filter { $0.value <= now }
        if !overdue.isEmpty { return .hung(channels: Set(overdue.keys)) }
        if let waitingSince {
            return now - waitingSince >= patience ? .hung(channels: []) : .wait
        }
        guard now >= nextPing else { return .wait }
        waitingSince = now
        nextPing = now + interval
        return .ping
    }

    package mutating func ponged(at now: Int64) {
        waitingSince = nil
        lastPong = now
    }

    /// When to look again.
    package func nextLook(after now: Int64, deadlines: [Int: Int64]) -> Int64 {
        let alarm = waitingSince.map { $0 + patience } ?? nextPing
        let earliest = deadlines.values.reduce(alarm, min)
        return max(now, min(earliest, now + Self.longestNap))
    }
}
