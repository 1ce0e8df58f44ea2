/// How the devices of a server share its models, as an operator sees it.
package struct PlanDescription: Sendable, Equatable {
    /// Devices that hold a whole model together.
    package struct Unit: Sendable, Equatable {
        /// Ranks of each stage.
        package var stages: [[String]]
        /// The layers of each stage, first and end; empty where it is one device.
        package var layers: [Range<Int>]
        /// `serving`, `starting`, or `preparing` beside what serves until then.
        package var state: String
        /// The share of their time that the stages computed of late, 0 to 1; nil for one device, and before the first steps.
        package var utilization: Double?
        /// Of each stage.
        package var occupancy: [Double]
        /// The largest load of a device over the mean, as predicted and as it was of late; nil for one device, and the latter before the first steps.
        package var predictedBalance: Double?
        package var measuredBalance: Double?

        package init(
            stages: [[String]], layers: [Range<Int>], state: String, utilization: Double?, occupancy: [Double], predictedBalance: Double? = nil,
            measuredBalance: Double? = nil
        ) {
            self.predictedBalance = predictedBalance
            self.measuredBalance = measuredBalance
            self.stages = stages
            self.layers = layers
            self.state = state
            self.utilization = utilization
            self.occupancy = occupancy
        }
    }

    /// The last change.
    package struct Step: Sendable, Equatable {
        package var kind: String
        package var cause: String
        /// One sentence.
        package var text: String
        package var secondsAgo: Double

        package init(kind: String, cause: String, text: String, secondsAgo: Double) {
            self.kind = kind
            self.cause = cause
            self.text = text
            self.secondsAgo = secondsAgo
        }
    }

    /// `[[0,1],[2,3]]`.
    package var wished: String
    /// The same of what is in force; nil while nothing is possible.
    package var current: String?
    package var strategy: String
    package var units: [Unit]
    /// Replicas that serve, and that are wanted now.
    package var servingReplicas: Int
    package var replicas: Int
    /// Between which the queue decides; nil where their number stays.
    package var range: ClosedRange<Int>?
    /// Devices that are not there, or not taken back yet.
    package var away: [String]
    package var lastStep: Step?

    package init(
        wished: String, current: String?, strategy: String, units: [Unit], servingReplicas: Int, replicas: Int, range: ClosedRange<Int>?,
        away: [String], lastStep: Step?
    ) {
        self.wished = wished
        self.current = current
        self.strategy = strategy
        self.units = units
        self.servingReplicas = servingReplicas
        self.replicas = replicas
        self.range = range
        self.away = away
        self.lastStep = lastStep
    }
}
