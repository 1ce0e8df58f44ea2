import ApusExecution
package import ApusPlacement
import ApusTensor
package import Metrics
import NIOConcurrencyHelpers

/// What is counted of a plan. A value must be made after the backend was installed, as ``ApusDevices/DeviceMetrics``.
package final class PlanMetrics: Sendable {
    private struct Shown {
        var status: PlanStatus?
        var info: Meter?
        var units: [String: Meter] = [:]
        var groups: [DeviceID: [Meter]] = [:]
    }

    private let factory: any MetricsFactory
    private let shown = NIOLockedValueBox(Shown())

    package init(_ wished: Plan, _ factory: any MetricsFactory = MetricsSystem.factory) {
        self.factory = factory
        for kind in PlanStep.Kind.allCases {
            for cause in kind.causes { counter(kind, cause).increment(by: 0) }
        }
    }

    package func took(_ step: PlanStep) {
        counter(step.kind, step.cause).increment()
    }

    /// Shows the plan as it is.
    package func stands(_ status: PlanStatus) {
        shown.withLockedValue { shown in
            guard status != shown.status else { return }
            if status.wished != shown.status?.wished || status.current != shown.status?.current || status.strategy != shown.status?.strategy {
                shown.info?.destroy()
                let info = Meter(
                    label: "apus_plan_info",
                    dimensions: [("plan", status.current ?? ""), ("wished", status.wished), ("strategy", status.strategy)], factory: factory)
                info.set(1)
                shown.info = info
            }
            for (name, count) in [("serving", status.servingReplicas), ("wanted", status.replicas)] {
                meter("apus_plan_replicas", [("state", name)]).set(count)
            }
            meter("apus_plan_degraded", []).set(status.current == status.wished ? 0 : 1)
            var units: [String: Meter] = [:]
            for unit in status.units {
                for state in PlanStatus.Unit.State.allCases {
                    let labels = [("unit", unit.name), ("state", state.rawValue)]
                    let key = "\(unit.name) \(state.rawValue)"
                    let gauge = units[key] ?? meter("apus_plan_unit", labels)
                    let isSo = status.units.contains { $0.name == unit.name && $0.state == state }
                    gauge.set(isSo ? 1 : 0)
                    units[key] = gauge
                }
            }
            for (key, gauge) in shown.units where units[key] == nil { gauge.destroy() }
            shown.units = units
            for (lead, gauges) in shown.groups where !status.units.contains(where: { $0.lead == lead && $0.stages.joined().count > 1 }) {
                for gauge in gauges { gauge.destroy() }
                shown.groups[lead] = nil
            }
            for unit in status.units where unit.state == .serving {
                guard let utilization = unit.utilization else { continue }
                var gauges = [meter("apus_plan_bubble_ratio", [("device", unit.lead.description)])]
                gauges[0].set(1 - utilization)
                for (stage, occupancy) in unit.occupancy.enumerated() {
                    let gauge = meter("apus_plan_stage_occupancy_ratio", [("device", unit.lead.description), ("stage", "\(stage)")])
                    gauge.set(occupancy)
                    gauges.append(gauge)
                }
                shown.groups[unit.lead] = gauges
            }
            shown.status = status
        }
    }

    private func meter(_ label: String, _ labels: [(String, String)]) -> Meter {
        Meter(label: label, dimensions: labels, factory: factory)
    }

    private func counter(_ kind: PlanStep.Kind, _ cause: PlanStep.Cause) -> Counter {
        Counter(label: "apus_plan_steps_total", dimensions: [("step", kind.rawValue), ("cause", cause.rawValue)], factory: factory)
    }
}

extension PlanStatus.Unit {
    /// `[[cpu:0,cpu:1],[cpu:2,cpu:3]]`
    package var name: String {
        "[" + stages.map { "[" + $0.map(\.description).joined(separator: ",") + "]" }.joined(separator: ",") + "]"
    }
}

extension PlanStep.Kind {
    /// Those that are shown before they happen, so that the first reads as an increase.
    fileprivate var causes: [PlanStep.Cause] {
        switch self {
        case .dissolved: [.killed, .crashed, .sticky, .hung, .deviceLost, .failures]
        case .reallocated, .reduced, .oneDevice, .shrunk, .cpu, .nobody: [.deviceLost]
        case .restored: [.returned]
        case .scaledUp, .scaledDown: [.queue]
        }
    }
}
