import ApusDevices
import ApusExecution
import ApusPlacement
package import ApusTensor

/// The plan of a fleet at one moment.
package struct PlanStatus: Sendable, Equatable {
    /// What serves together under the name of its first device.
    package struct Unit: Sendable, Equatable {
        package enum State: String, Sendable, CaseIterable {
            case serving, starting
            /// It is being made ready beside what serves until then.
            case preparing
        }

        /// Ranks of each stage.
        package let stages: [[DeviceID]]
        /// Of the model that the plan was made for; empty for one that is by itself.
        package let layers: [Range<Int>]
        package let state: State
        /// The share of their time that its stages computed of late, 0 to 1; nil for one device, and before the first steps.
        package let utilization: Double?
        /// Of each stage.
        package let occupancy: [Double]
        /// The largest load of a device over the mean, as the plan predicts it; nil for one device.
        package let predictedBalance: Double?
        /// The same as it was of late, what devices waited for others left out; nil for one device, and before the first steps.
        package let measuredBalance: Double?

        package var lead: DeviceID { stages[0][0] }
        package var devices: [DeviceID] { stages.flatMap(\.self) }
    }

    /// The plan that was asked for, `[[0,1],[2,3]]`.
    package let wished: String
    /// The plan in force; nil while none is possible.
    package let current: String?
    package let strategy: String
    package let units: [Unit]
    /// Replicas that serve.
    package let servingReplicas: Int
    /// Replicas that are asked for now.
    package let replicas: Int
    /// Between which scaling chooses; nil where their number stays.
    package let range: ClosedRange<Int>?
    /// Devices that cannot be used, or are there again and not taken back yet.
    package let away: [DeviceID]
    package let lastStep: PlanStep?

    /// Nil where every device serves by itself.
    init?(_ state: FleetState) {
        guard let keeper = state.keeper else { return nil }
        wished = keeper.wished.description
        current = keeper.current?.description
        strategy = (keeper.current ?? keeper.wished).strategy.rawValue
        replicas = keeper.replicas
        range = state.scaling?.limits.range
        away = keeper.away.sorted()
        lastStep = keeper.lastStep
        var units: [Unit] = []
        for device in state.order {
            if let unit = state.units[device], unit.duty.isUnit, unit.member.role != .standby, let formation = state.formation(device) {
                units.append(Unit(formation, unit, unit.opened != nil ? .serving : .starting, keeper.current))
            }
            if let unit = state.successors[device], let formation = unit.duty.formation ?? state.wanted.first(where: { $0.devices == [device] }) {
                units.append(Unit(formation, unit, .preparing, keeper.current))
            }
        }
        self.units = units
        servingReplicas = units.count { $0.state == .serving }
    }
}

extension PlanStatus.Unit {
    fileprivate init(_ formation: Formation, _ unit: FleetState.Unit, _ state: State, _ plan: Plan?) {
        predictedBalance = Self.balance(plan?.replicas.first { Formation($0) == formation }?.stages.flatMap { $0.ranks.map(\.load) } ?? [])
        stages = formation.stages
        layers = formation.layers
        self.state = state
        let recent = unit.group?.recent
        measuredBalance = Self.balance(recent?.stages.joined().map { Double(max(0, $0.busyNanoseconds - $0.waitedNanoseconds)) } ?? [])
        utilization = recent.flatMap { $0.activeNanoseconds > 0 ? $0.utilization : nil }
        occupancy = recent.map { recent in
            recent.stageBusyNanoseconds.map { recent.activeNanoseconds > 0 ? min(1, Double($0) / Double(recent.activeNanoseconds)) : 0 }
        } ?? []
    }

    /// The largest of several loads over their mean; nil for one, and where none has any.
    private static func balance(_ loads: [Double]) -> Double? {
        let sum = loads.reduce(0, +)
        guard loads.count > 1, sum > 0, let most = loads.max() else { return nil }
        return most * Double(loads.count) / sum
    }
}

extension FleetState {
    /// A group told what its devices have done so far.
    mutating func groupAnswered(_ group: GroupState, _ lead: DeviceID) {
        guard var unit = units[lead], unit.duty.isGroup else { return }
        let recent = unit.group.map { group.since($0.latest) } ?? group
        // While nothing ran, what was measured before still holds.
        unit.group = (group, recent.activeNanoseconds > 0 ? recent : unit.group?.recent ?? recent)
        units[lead] = unit
    }
}

extension GroupState {
    func memory(of device: DeviceID) -> DeviceMemory? {
        stages.joined().first { $0.device == device }?.memory
    }
}
