package import ApusErrors
import ApusExecution
package import ApusFleet
import ApusTensor

extension PlannedFleet {
    /// The same plan with the cores of its CPU devices shared out as `best` says, and a line for each device that is not as usual.
    package func sharingCores(_ best: (FleetPlan.Member) -> FleetPlan.Member) throws(ApusError) -> PlannedFleet {
        var planned = self
        var members: [FleetPlan.Member] = []
        for member in fleet.members {
            let chosen = best(member)
            if chosen.settings.helpers > 0 {
                planned.notes.append(
                    .init(.info, "\(member.settings.device) computes on \(chosen.settings.lanes) lanes with \(chosen.settings.helpers) threads beside them, measured to be faster than a lane for each core"))
            }
            members.append(chosen)
        }
        planned.fleet = try FleetPlan(members, policy: fleet.policy, patience: fleet.patience, parallel: fleet.parallel)
        return planned
    }
}
