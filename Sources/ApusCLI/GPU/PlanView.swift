import ApusErrors
import ApusJSON

/// The plan of a server as lines and a table, made of what `GET /v1/devices` answers.
struct PlanView {
    let lines: [String]
    private let rows: [[String]]

    /// Throws `invalid_value` for anything that no Apus answers.
    init(_ plan: JSONReader) throws(ApusError) {
        let wished = try plan.string("wished")
        let current = try plan.optionalString("current")
        var first = "plan \(current ?? "none"), strategy \(try plan.string("strategy"))"
        if current != wished { first += ", asked for \(wished)" }
        let replicas = try plan.integer("replicas")
        first += ", \(try plan.integer("serving_replicas")) of \(replicas) \(replicas == 1 ? "replica" : "replicas")"
        if let least = try plan.optionalInteger("min_replicas"), let most = try plan.optionalInteger("max_replicas") {
            first += " (\(least) to \(most) by the queue)"
        }
        var lines = [first]
        let away = try plan.array("away").map { value throws(ApusError) in try value.stringValue(at: "plan.away", code: plan.code) }
        if !away.isEmpty { lines.append("not in the plan now: \(away.joined(separator: ", "))") }
        if let step = try plan.optionalReader("last_step") {
            let ago = Figures.duration(try step.number("seconds_ago"))
            lines.append("last step \(ago) ago: \(try step.string("step")) (\(try step.string("cause"))): \(try step.string("text"))")
        }
        var rows: [[String]] = []
        for value in try plan.array("units") {
            let unit = try JSONReader(value, place: "plan.units.", code: plan.code)
            let row = try Self.row(unit)
            rows.append(row)
            guard let predicted = try unit.optionalNumber("predicted_balance") else { continue }
            let measured = try unit.optionalNumber("measured_balance").map { ", \(Figures.number($0)) of late" } ?? ""
            lines.append("balance of \(row[0]): \(Figures.number(predicted)) predicted\(measured) (largest load of a device over the mean)")
        }
        self.lines = lines
        self.rows = rows
    }

    private static func row(_ unit: JSONReader) throws(ApusError) -> [String] {
        var stages: [String] = []
        for stage in try unit.array("devices") {
            var ranks: [String] = []
            for rank in try stage.arrayValue(at: "plan.units.devices", code: unit.code) {
                ranks.append(try rank.stringValue(at: "plan.units.devices", code: unit.code))
            }
            stages.append("[\(ranks.joined(separator: ","))]")
        }
        var layers: [String] = []
        for range in try unit.array("layers") {
            let bounds = try range.arrayValue(at: "plan.units.layers", code: unit.code)
            guard bounds.count == 2 else { throw ApusError(unit.code, "layers are a first and an end", place: "plan.units.layers") }
            let first = try bounds[0].integerValue(at: "plan.units.layers", code: unit.code)
            let end = try bounds[1].integerValue(at: "plan.units.layers", code: unit.code)
            layers.append("\(first)-\(end - 1)")
        }
        var occupancy: [String] = []
        for share in try unit.array("stage_occupancy") {
            occupancy.append(Figures.percent(try share.numberValue(at: "plan.units.stage_occupancy", code: unit.code)))
        }
        let utilization = try unit.optionalNumber("utilization")
        return [
            "[\(stages.joined(separator: ","))]", try unit.string("state"), layers.isEmpty ? Figures.unknown : layers.joined(separator: " "),
            utilization.map { Figures.percent($0) } ?? Figures.unknown, occupancy.isEmpty ? Figures.unknown : occupancy.joined(separator: " "),
        ]
    }

    var text: String {
        lines.map { Paragraph($0).text }.joined()
            + (rows.isEmpty ? "" : "\n" + TextTable(["UNIT", "STATE", "LAYERS", "BUSY", "STAGES BUSY"], rows, shortened: 0).text)
    }
}
