package import ApusDevices
package import ApusErrors
import ApusExecution
import ApusFleet
package import ApusPlacement
import ApusTensor

extension PlannedFleet {
    /// The same fleet with its devices sharing models as `wishes` say.
    ///
    /// - Parameters:
    ///   - models: those that are served, the one that the plan is balanced for first. Never empty.
    ///   - paths: of the directories or files that they come from, in the same order; empty where nobody loads them by what is known here.
    ///   - scaling: nil where the number of replicas stays.
    ///
    /// Throws `unsupported_plan` for what is impossible for one of the models, with the arithmetic and the nearest plan that works, and for models
    /// that are assigned to one device.
    package func sharing(
        _ models: [NetworkOutline], from paths: [String] = [], _ wishes: ParallelWishes, scaling: ReplicaScaling.Limits? = nil, links: [DeviceLink] = [], tokens: Int
    ) throws(ApusError) -> PlannedFleet {
        if let (model, device) = assignments.min(by: { $0.key < $1.key }) {
            throw ApusError(
                .unsupportedPlan, "\(model) is assigned to \(device), and a plan for all devices is asked for", place: model,
                advice: "Leave out the assignment, or the plan")
        }
        let devices = fleet.members.filter { $0.role != .standby }.map { PlanDevice($0) }
        let requests = try models.map { model throws(ApusError) in
            try PlanRequest(model, on: devices, topology: DeviceTopology(links), wishes: wishes, tokens: tokens)
        }
        guard let first = requests.first else { throw ApusError(.unsupportedPlan, "there is no model to plan for") }
        let plan = try ParallelPlan(first, scaling: scaling, outlines: Dictionary(zip(paths, models)) { first, _ in first })
        for request in requests.dropFirst() { _ = try request.plan() }
        var planned = self
        planned.fleet = try FleetPlan(fleet.members, policy: fleet.policy, patience: fleet.patience, parallel: plan)
        let used = Set(plan.wished.devices)
        planned.notes.append(.init(.info, "plan \(plan.wished) (\(plan.wished.shape)): \(plan.wished.reason)"))
        for step in plan.wished.steps { planned.notes.append(.init(.warning, "plan: \(step.kind.rawValue): \(step.reason)")) }
        for device in planned.intended where !used.contains(device) {
            planned.notes.append(.init(.info, "\(device) is in no replica of the plan: it takes the place of one that is lost"))
        }
        return planned
    }
}

extension PlanDevice {
    /// A device of a fleet. CPU devices compute as fast as they have threads; accelerators count alike.
    init(_ member: FleetPlan.Member) {
        var judge = HealthJudge()
        let health: Health =
            switch member.info.sample.map({ judge.verdict($0, now: 0).outcome }) {
            case .fallBack: .unhealthy
            case .throttle: .throttled
            default: .healthy
            }
        let settings = member.settings
        self.init(
            settings.device, memoryLimitBytes: settings.memoryLimitBytes, freeBytes: member.info.sample?.memory?.freeBytes, health: health,
            speed: settings.device.kind == .cpu ? Double(settings.cores.isEmpty ? settings.lanes : settings.cores.count) : 1)
    }
}
