package import ApusErrors
import ApusExecution
package import ApusPlacement
package import ApusTensor

/// How the devices of a fleet are to share a model, and what is done when they cannot.
package struct ParallelPlan: Sendable, Equatable {
    /// How patient a fleet is before it plans anew. All are longer than zero, or it would never come to rest.
    package struct Patience: Sendable, Equatable {
        /// How long a device that is there again is left out of groups after its first failure; twice as long with each further one.
        package var hold = Duration.seconds(5)
        package var longestHold = Duration.seconds(300)
        /// How long a plan must have served before failures of its devices are forgotten.
        package var steady = Duration.seconds(60)
        /// How long the devices of a group that failed are given to show that they work.
        package var look = Duration.seconds(3)
        /// How long a device that serves alone may stay away before its work is planned onto others.
        package var absence = Duration.seconds(3)
        /// Failures of a group in a row that nobody is to blame for, after which its devices go on alone for a while.
        package var blamelessLimit = 3

        package init() {}
    }

    package let request: PlanRequest
    /// What follows from the request on healthy devices.
    package let wished: Plan
    /// Nil where the number of replicas stays.
    package let scaling: ReplicaScaling.Limits?
    package let patience: Patience
    /// What is known of models, by the path of the directory or of the file that they come from: with costs where those were measured.
    package let outlines: [String: NetworkOutline]

    /// Throws `unsupported_plan` for what is impossible, with the arithmetic and the nearest plan that works, and `invalid_value` for times that
    /// are no times.
    package init(
        _ request: PlanRequest, scaling: ReplicaScaling.Limits? = nil, patience: Patience = Patience(),
        outlines: [String: NetworkOutline] = [:]
    ) throws(ApusError) {
        for (name, time) in [
            ("hold", patience.hold), ("longest hold", patience.longestHold), ("steady time", patience.steady), ("look", patience.look),
            ("absence", patience.absence),
        ] where time < .milliseconds(1) || time > .seconds(86_400) {
            throw ApusError(.invalidValue, "the \(name) of a plan is \(time), it must be between 1 ms and a day", place: "parallel")
        }
        self.request = request
        wished = try request.plan()
        self.scaling = scaling
        self.patience = patience
        self.outlines = outlines
    }
}

/// One replica of a plan as a unit of a fleet: devices that hold a whole model together.
package struct Formation: Sendable, Hashable {
    /// Ranks of each stage; never empty.
    package let stages: [[DeviceID]]
    /// Layers of each stage, of the model that the plan was made for.
    package let layers: [Range<Int>]

    package init?(_ replica: Plan.Replica) {
        stages = replica.stages.map { $0.ranks.map(\.device) }
        layers = replica.stages.map(\.layers)
        guard let first = stages.first?.first else { return nil }
        lead = first
    }

    /// The device whose name the unit goes by.
    package let lead: DeviceID
    package var devices: [DeviceID] { stages.flatMap(\.self) }
    package var isGroup: Bool { devices.count > 1 }
}

extension Formation: CustomStringConvertible {
    /// `[[cpu:0,cpu:1],[cpu:2,cpu:3]]`
    package var description: String {
        "[" + stages.map { "[" + $0.map(\.description).joined(separator: ",") + "]" }.joined(separator: ",") + "]"
    }
}
