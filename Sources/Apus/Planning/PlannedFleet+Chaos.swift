package import ApusErrors
import ApusExecution
import ApusFleet
package import ApusSimulation
import Dispatch

extension PlannedFleet {
    /// Gives the devices the failures that `script` asks for. Throws `invalid_value` with place `--chaos` for failures that only a process of its
    /// own can have.
    package func failing(_ script: ChaosScript, execution: Execution) throws(ApusError) -> PlannedFleet {
        if execution == .inProcess, let entry = script.entries.first(where: { [.crash, .sticky, .hang].contains($0.fault) }) {
            throw ApusError(
                .invalidValue, "\(entry.fault.rawValue) on \(entry.device) needs worker processes", place: "--chaos",
                advice: "Leave --in-process out, or the fault")
        }
        var planned = self
        let members = fleet.members.map { member in
            var member = member
            let schedule = ChaosSchedule(script, device: member.settings.device) { Int(clamping: DispatchTime.now().uptimeNanoseconds) }
            guard !schedule.faults.isEmpty else { return member }
            member.faults = DeviceFaults(
                injector: schedule, beganServing: { schedule.beganServing() }, overlay: { schedule.overlay($0) })
            return member
        }
        planned.fleet = try FleetPlan(members, policy: fleet.policy, patience: fleet.patience, parallel: fleet.parallel)
        return planned
    }
}
