package import ApusErrors

/// Decides when a model gets another replica on this machine and when it gives one back. Pure: observations in, an action out; whoever
/// carries it out goes on observing.
package struct ReplicaScaling: Sendable, Equatable {
    package struct Limits: Sendable, Equatable {
        /// Replicas.
        package let range: ClosedRange<Int>
        /// Seconds of work that wait for each replica, above which one is added.
        package let growAbove: Double
        /// Below which one is given back.
        package let shrinkBelow: Double
        /// How long the queue has to stay above, nanoseconds.
        package let growAfter: Int
        /// How long it has to stay below, nanoseconds.
        package let shrinkAfter: Int

        /// Throws `invalid_value` for an empty range of replicas, for bounds so near each other that the queue of one replica less would be
        /// above the upper one, and for times that would give a replica back sooner than one is added.
        package init(
            _ range: ClosedRange<Int>, growAbove: Double = 0.5, shrinkBelow: Double = 0.05, growAfter: Int = 2_000_000_000,
            shrinkAfter: Int = 60_000_000_000
        ) throws(ApusError) {
            guard range.lowerBound >= 1 else { throw ApusError(.invalidValue, "\(range.lowerBound) replicas are too few", place: "replicas") }
            guard growAbove.isFinite, shrinkBelow >= 0, shrinkBelow <= growAbove / 2, growAbove > 0 else {
                throw ApusError(
                    .invalidValue, "a queue of \(shrinkBelow) s is not below half of \(growAbove) s", place: "replicas",
                    advice: "When one of two replicas is given back, the other's queue doubles")
            }
            guard growAfter >= 0, shrinkAfter > growAfter else {
                throw ApusError(.invalidValue, "\(shrinkAfter) ns of a short queue are not longer than \(growAfter) ns of a long one", place: "replicas")
            }
            self.range = range
            self.growAbove = growAbove
            self.shrinkBelow = shrinkBelow
            self.growAfter = growAfter
            self.shrinkAfter = shrinkAfter
        }
    }

    /// How things stand.
    package struct Observation: Sendable, Equatable {
        /// Nanoseconds on any clock that does not go back.
        package var now: Int
        /// Estimated seconds of work that wait for each replica.
        package var queuedSeconds: Double
        /// Seconds of work that were admitted in each second of late, on one replica's measure: 1.5 keeps one and a half replicas busy.
        package var admittedWork: Double
        package var replicas: Int
        /// Devices that could hold a replica, those that do among them.
        package var healthyDevices: Int

        package init(now: Int, queuedSeconds: Double, admittedWork: Double, replicas: Int, healthyDevices: Int) {
            self.now = now
            self.queuedSeconds = queuedSeconds
            self.admittedWork = admittedWork
            self.replicas = replicas
            self.healthyDevices = healthyDevices
        }
    }

    package enum Action: Sendable, Equatable {
        case none
        case add
        case remove
    }

    package let limits: Limits
    private var clock = Int.min
    private var longSince: Int?
    private var shortSince: Int?
    /// The most work admitted since the queue became short.
    private var mostAdmitted = 0.0
    /// An action whose effect has not been seen: the replicas at that time, and until when it is waited for.
    private var awaited: Awaited?

    private struct Awaited: Sendable, Equatable {
        var replicas: Int
        var until: Int
    }

    /// The share of its time that a replica may be busy after another was given back: above it queues grow fast with every burst.
    private static let occupancy = 0.7
    /// How long an action may take to show: a large model loads for tens of seconds.
    private static let patience = 120_000_000_000

    package init(_ limits: Limits) {
        self.limits = limits
    }

    /// What is to be done now. To be asked at regular times, several in ``Limits/growAfter``.
    package mutating func decide(_ observation: Observation) -> Action {
        clock = max(clock, observation.now)
        if let awaited {
            guard observation.replicas != awaited.replicas || clock >= awaited.until else { return .none }
            self.awaited = nil
        }
        let replicas = observation.replicas
        let most = min(limits.range.upperBound, observation.healthyDevices)
        if replicas > limits.range.upperBound { return act(.remove, observation) }
        if replicas < limits.range.lowerBound, replicas < most { return act(.add, observation) }
        watch(observation)
        if let longSince, clock - longSince >= limits.growAfter, replicas < most { return act(.add, observation) }
        if let shortSince, clock - shortSince >= limits.shrinkAfter {
            let isEnough = Double(replicas - 1) * Self.occupancy >= mostAdmitted
            if replicas > limits.range.lowerBound, replicas > 1, isEnough { return act(.remove, observation) }
            // What was admitted long ago does not count for ever.
            (self.shortSince, mostAdmitted) = (clock, work(observation))
        }
        return .none
    }

    private mutating func watch(_ observation: Observation) {
        longSince = observation.queuedSeconds > limits.growAbove ? longSince ?? clock : nil
        guard observation.queuedSeconds < limits.shrinkBelow else {
            shortSince = nil
            return
        }
        mostAdmitted = shortSince == nil ? work(observation) : max(mostAdmitted, work(observation))
        shortSince = shortSince ?? clock
    }

    private func work(_ observation: Observation) -> Double {
        observation.admittedWork.isFinite ? max(0, observation.admittedWork) : .infinity
    }

    private mutating func act(_ action: Action, _ observation: Observation) -> Action {
        (longSince, shortSince, mostAdmitted) = (nil, nil, 0)
        let (until, overflow) = clock.addingReportingOverflow(Self.patience)
        awaited = Awaited(replicas: observation.replicas, until: overflow ? .max : until)
        return action
    }
}
