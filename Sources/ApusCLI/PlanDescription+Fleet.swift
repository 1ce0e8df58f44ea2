import ApusFleet
import ApusService
import ApusTensor

extension PlanDescription {
    init(_ status: PlanStatus, uptimeSeconds: Double) {
        self.init(
            wished: status.wished, current: status.current, strategy: status.strategy,
            units: status.units.map { unit in
                Unit(
                    stages: unit.stages.map { $0.map(\.description) }, layers: unit.layers, state: unit.state.rawValue,
                    utilization: unit.utilization, occupancy: unit.occupancy, predictedBalance: unit.predictedBalance,
                    measuredBalance: unit.measuredBalance)
            },
            servingReplicas: status.servingReplicas, replicas: status.replicas, range: status.range, away: status.away.map(\.description),
            lastStep: status.lastStep.map { step in
                Step(
                    kind: step.kind.rawValue, cause: step.cause.rawValue, text: step.text,
                    secondsAgo: max(0, uptimeSeconds - Double(step.time) * 1e-9))
            })
    }
}
