import ApusJSON
import ApusService

/// The plan in the answer of `/v1/devices`.
enum PlanAnswer {
    static func write(_ plan: PlanDescription, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("wished", plan.wished)
        writer.key("current")
        if let current = plan.current { writer.string(current) } else { writer.null() }
        writer.member("strategy", plan.strategy)
        writer.member("replicas", plan.replicas)
        writer.member("serving_replicas", plan.servingReplicas)
        if let range = plan.range {
            writer.member("min_replicas", range.lowerBound)
            writer.member("max_replicas", range.upperBound)
        }
        list("away", plan.away, to: &writer) { $0.string($1) }
        list("units", plan.units, to: &writer) { write($1, to: &$0) }
        writer.key("last_step")
        if let step = plan.lastStep {
            writer.beginObject()
            writer.member("step", step.kind)
            writer.member("cause", step.cause)
            writer.member("text", step.text)
            writer.key("seconds_ago")
            writer.number(rounded(step.secondsAgo))
            writer.endObject()
        } else {
            writer.null()
        }
        writer.endObject()
    }

    private static func write(_ unit: PlanDescription.Unit, to writer: inout JSONWriter) {
        writer.beginObject()
        list("devices", unit.stages, to: &writer) { writer, stage in
            writer.beginArray()
            for device in stage { writer.string(device) }
            writer.endArray()
        }
        list("layers", unit.layers, to: &writer) { writer, layers in
            writer.beginArray()
            writer.integer(layers.lowerBound)
            writer.integer(layers.upperBound)
            writer.endArray()
        }
        writer.member("state", unit.state)
        writer.key("utilization")
        if let utilization = unit.utilization { writer.number(rounded(utilization)) } else { writer.null() }
        list("stage_occupancy", unit.occupancy, to: &writer) { $0.number(rounded($1)) }
        for (name, balance) in [("predicted_balance", unit.predictedBalance), ("measured_balance", unit.measuredBalance)] {
            writer.key(name)
            if let balance { writer.number(rounded(balance)) } else { writer.null() }
        }
        writer.endObject()
    }

    private static func list<Element>(
        _ name: String, _ elements: [Element], to writer: inout JSONWriter, _ body: (inout JSONWriter, Element) -> Void
    ) {
        writer.key(name)
        writer.beginArray()
        for element in elements { body(&writer, element) }
        writer.endArray()
    }

    private static func rounded(_ value: Double) -> Double { (value * 1_000).rounded() / 1_000 }
}
