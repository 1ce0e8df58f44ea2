import ApusDevices
import ApusExecution
package import ApusFleet
package import ApusTensor

/// A plan, and what is to be told about how it came about.
package struct PlannedFleet: Sendable {
    /// A line for the log.
    package struct Note: Sendable, Equatable {
        package enum Level: Sendable {
            case info
            case warning
        }

        package var level: Level
        package var text: String

        package init(_ level: Level, _ text: String) {
            self.level = level
            self.text = text
        }
    }

    /// What was decided about one device, and why.
    package struct Decision: Sendable, Equatable {
        package enum Outcome: String, Sendable, CaseIterable {
            case chosen
            /// Stands in for chosen ones.
            case standIn = "stand_in"
            case passedOver = "passed_over"
        }

        package var device: DeviceID
        package var outcome: Outcome
        package var reason: String

        package init(_ device: DeviceID, _ outcome: Outcome, _ reason: String) {
            self.device = device
            self.outcome = outcome
            self.reason = reason
        }
    }

    package var fleet: FleetPlan
    /// The device that a model runs on, for models that are not to run on all of them.
    package var assignments: [String: DeviceID]
    package var notes: [Note]
    /// One for each device that was looked at.
    package var decisions: [Decision]

    /// Devices that are meant to serve.
    package var intended: [DeviceID] { fleet.members.filter { $0.role == .intended }.map(\.settings.device) }
    package var devices: [DeviceID] { fleet.members.map(\.settings.device) }
}
