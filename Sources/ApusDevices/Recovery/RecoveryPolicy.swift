package import ApusErrors

/// How patient Apus is with a device that fails. The figures are those of DEV-7 and of the stages of recovery; times are measured on the
/// clock of whoever drives ``DeviceRecovery``.
package struct RecoveryPolicy: Sendable, Equatable {
    /// Who may stand in for a device that does not serve.
    package enum Fallback: String, Sendable, CaseIterable {
        /// Spare devices, and when there is none the CPU.
        case cpu
        /// Spare devices only.
        case otherDevices = "other_devices"
        /// Nobody: requests are refused with `no_device` when no device that was meant to serve can.
        case fail
    }

    /// Consecutive failed batches.
    package struct Ladder: Sendable, Equatable {
        /// Up to here the device goes on; with one more it is withdrawn for a while.
        package var retryLimit = 3
        /// Up to here it is tried again by itself; with one more it waits for an operator.
        package var temporaryLimit = 6

        package init() {}
    }

    /// New worker processes.
    package struct Restarts: Sendable, Equatable {
        /// The first restart is at once, the second waits this long, each further one twice as long as the one before.
        package var backoffStart = Duration.seconds(1)
        package var backoffMax = Duration.seconds(30)
        /// Least time between two starts, whoever ended the worker.
        package var spacing = Duration.seconds(1)
        /// Restarts within ``window`` for reasons of the device's own. The next one within it is not made: the device is quarantined.
        package var limit = 3
        package var window = Duration.seconds(600)

        package init() {}
    }

    /// The way back.
    package struct Probes: Sendable, Equatable {
        /// How long a device whose batches failed stays away; doubled with every failure on trial.
        package var backoffStart = Duration.seconds(5)
        package var backoffMax = Duration.seconds(300)
        /// Known answers that every new worker gives before it is admitted.
        package var rightAnswers = 3
        /// Batches in a row that end a trial and reset every back-off.
        package var goodRuns = 10
        /// How often a serving device is asked for a known answer.
        package var inspectionInterval = Duration.seconds(300)
        /// Least time between two such questions when a verdict asks for them.
        package var inspectionSpacing = Duration.seconds(60)

        package init() {}
    }

    /// Less work for devices in trouble.
    package struct Caution: Sendable, Equatable {
        /// How long a suspect device must be inconspicuous.
        package var suspectTime = Duration.seconds(600)
        /// Share of its work that a suspect device gets, above 0, at most 1.
        package var suspectWeight = 0.5
        /// How long a shrunk device must run out of memory no more before its batches grow by ``shareStep``.
        package var shrinkTime = Duration.seconds(60)
        package var shareStep = 0.25
        /// Batches shrink no further than to this share of their limit.
        package var smallestShare = 1.0 / 64

        package init() {}
    }

    /// How long an event may be overdue.
    package struct Patience: Sendable, Equatable {
        /// For a new worker to be ready, its models loaded.
        package var start = Duration.seconds(600)
        /// For all known answers of a new worker.
        package var proof = Duration.seconds(120)
        /// For the blame of a batch that ended its worker; after it the device is to blame.
        package var blame = Duration.seconds(30)
        /// For an Xid: one that comes sooner after a start belongs to the worker before.
        package var xid = Duration.seconds(10)
        /// Deaths in a row, without one good batch between them, that inputs may be blamed for.
        package var excusedDeaths = 3

        package init() {}
    }

    package let ladder: Ladder
    package let restarts: Restarts
    package let probes: Probes
    package let caution: Caution
    package let patience: Patience
    package let fallback: Fallback

    package static let standard = RecoveryPolicy(
        unchecked: Ladder(), Restarts(), Probes(), Caution(), Patience(), .cpu)

    /// Throws `invalid_value` when a count is below 1 (limits may be 0), a time is negative or over a year, limits contradict
    /// each other, or a share is not above 0 and at most 1.
    package init(
        ladder: Ladder = Ladder(), restarts: Restarts = Restarts(), probes: Probes = Probes(), caution: Caution = Caution(),
        patience: Patience = Patience(), fallback: Fallback = .cpu
    ) throws(ApusError) {
        try Self.checkCounts([
            ("failed batches that are retried", ladder.retryLimit, 0),
            ("failed batches before permanent fallback", ladder.temporaryLimit, 0),
            ("restarts before quarantine", restarts.limit, 0), ("known answers before admission", probes.rightAnswers, 1),
            ("good runs that reset the back-off", probes.goodRuns, 1), ("deaths blamed on inputs", patience.excusedDeaths, 1),
        ])
        guard ladder.retryLimit <= ladder.temporaryLimit else {
            throw ApusError(
                .invalidValue,
                "\(ladder.retryLimit) failed batches are retried, more than the \(ladder.temporaryLimit) after which fallback is permanent")
        }
        try Self.checkTimes([
            ("restart back-off", restarts.backoffStart), ("longest restart back-off", restarts.backoffMax),
            ("spacing of restarts", restarts.spacing), ("restart window", restarts.window), ("probe back-off", probes.backoffStart),
            ("longest probe back-off", probes.backoffMax), ("inspection interval", probes.inspectionInterval),
            ("spacing of inspections", probes.inspectionSpacing), ("time a device stays suspect", caution.suspectTime),
            ("time batches stay shrunk", caution.shrinkTime), ("start limit", patience.start), ("proof limit", patience.proof),
            ("time for blame", patience.blame), ("time for an Xid", patience.xid),
        ])
        for (name, first, longest) in [
            ("restart", restarts.backoffStart, restarts.backoffMax), ("probe", probes.backoffStart, probes.backoffMax),
        ] where first > longest {
            throw ApusError(.invalidValue, "the \(name) back-off starts at \(first), which is over its longest, \(longest)")
        }
        for (name, share) in [
            ("weight of a suspect device", caution.suspectWeight), ("step of the batch share", caution.shareStep),
            ("smallest batch share", caution.smallestShare),
        ] where !(share > 0 && share <= 1) {
            throw ApusError(.invalidValue, "the \(name) is \(share), it must be above 0 and at most 1")
        }
        self.init(unchecked: ladder, restarts, probes, caution, patience, fallback)
    }

    private init(
        unchecked ladder: Ladder, _ restarts: Restarts, _ probes: Probes, _ caution: Caution, _ patience: Patience, _ fallback: Fallback
    ) {
        self.ladder = ladder
        self.restarts = restarts
        self.probes = probes
        self.caution = caution
        self.patience = patience
        self.fallback = fallback
    }

    private static func checkCounts(_ counts: [(name: String, value: Int, least: Int)]) throws(ApusError) {
        for count in counts where count.value < count.least {
            throw ApusError(.invalidValue, "the number of \(count.name) is \(count.value), it must be at least \(count.least)")
        }
    }

    /// Times that must pass before something happens must not be zero, or a state machine would never come to rest.
    private static func checkTimes(_ times: [(name: String, value: Duration)]) throws(ApusError) {
        for time in times where time.value < .milliseconds(1) || time.value > .seconds(365 * 86_400) {
            throw ApusError(.invalidValue, "the \(time.name) is \(time.value), it must be between 1 ms and a year")
        }
    }
}

extension Duration {
    /// Whole nanoseconds. Exact for the times of a valid policy.
    var wholeNanoseconds: Int {
        let (seconds, attoseconds) = components
        let (whole, overflow) = Int(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? (seconds < 0 ? .min : .max) : whole.addingSaturated(Int(attoseconds / 1_000_000_000))
    }
}

extension Int {
    /// The sum, or the end of the range that it runs over.
    func addingSaturated(_ other: Int) -> Int {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other < 0 ? .min : .max) : sum
    }
}
