import ApusJSON
import ApusPlacement
import ApusTensor

/// A plan as `apus plan` tells it.
struct PlanTable {
    let plan: Plan
    let model: NetworkOutline
    let notes: [String]
    /// What the layers were measured in; nil where their costs are arithmetic.
    var measuredIn: String?
    /// What the balance would be were stages parted by arithmetic; nil where nothing was measured.
    var reckonedBalance: Double?

    private var meanLoad: Double {
        let loads = plan.replicas.flatMap { $0.stages.flatMap { $0.ranks.map(\.load) } }
        return loads.reduce(0, +) / Double(max(1, loads.count))
    }

    private var ranks: [Plan.Rank] { plan.replicas.flatMap { $0.stages.flatMap(\.ranks) } }

    /// The most that a device holds of the bytes of all layers, 0 to 1; nil for layers without weights.
    private var largestLayerShare: Double? {
        guard model.layerBytes > 0, let most = ranks.map(\.bytes.layers).max() else { return nil }
        return Double(most) / Double(model.layerBytes)
    }

    private var weightWords: String {
        var words = "a device holds at most \(Figures.percent(largestLayerShare)) of the layers' \(ByteText.of(model.layerBytes))"
        let holders = ranks.filter { $0.bytes.embedding > 0 }.map(\.device.description)
        if !holders.isEmpty { words += "; the embedding table, \(ByteText.of(model.embedding.bytes)), is on \(holders.joined(separator: ", "))" }
        return words
    }

    var text: String {
        var rows: [[String]] = []
        for (replica, part) in plan.replicas.enumerated() {
            for stage in part.stages {
                for (number, rank) in stage.ranks.enumerated() {
                    rows.append([
                        "\(rank.device)", plan.replicas.count > 1 ? "\(replica)" : Figures.unknown,
                        "\(stage.layers.lowerBound)-\(stage.layers.upperBound - 1)",
                        stage.ranks.count > 1 ? "\(number + 1) of \(stage.ranks.count)" : Figures.unknown,
                        ByteText.of(rank.bytes.layers + rank.bytes.head), rank.bytes.embedding > 0 ? ByteText.of(rank.bytes.embedding) : Figures.unknown,
                        ByteText.of(rank.bytes.activations), meanLoad > 0 ? Figures.percent(rank.load / meanLoad) : Figures.unknown,
                    ])
                }
            }
        }
        var text = "\(plan)  \(plan.strategy.rawValue), \(plan.model), \(ByteText.of(model.weightBytes)) of weights\n\n"
        text += TextTable(["DEVICE", "REPLICA", "LAYERS", "SHARD", "WEIGHTS", "EMBEDDING", "ACTIVATIONS", "LOAD"], rows).text
        text += "\n" + Paragraph(plan.reason, first: "why: ").text
        for step in plan.steps { text += Paragraph(step.reason, first: "\(step.kind.rawValue): ").text }
        text += Paragraph("\(Figures.number(plan.balance)) (largest load over the mean), \(costWords)", first: "balance: ").text
        text += Paragraph(weightWords, first: "weights: ").text
        if plan.shape.pipeline > 1 {
            text += Paragraph(
                "\(Figures.percent(plan.utilization)) of their time stages compute, with \(plan.microBatches) batches in flight", first: "utilisation: ").text
        }
        if !model.cutTensors.isEmpty, plan.shape.pipeline > 1 {
            let ends = plan.replicas.first?.stages.dropLast().map(\.layers.upperBound) ?? []
            let tensors = ends.filter { $0 >= 1 && $0 <= model.cutTensors.count }.map { model.cutTensors[$0 - 1] }
            text += Paragraph("behind \(tensors.joined(separator: ", ")), of \(model.cutTensors.count) tensors behind which it can be", first: "cut: ").text
        }
        for note in notes { text += Paragraph(note, first: "note: ").text }
        return text
    }

    private var costWords: String {
        guard let measuredIn else { return "by arithmetic: no layer was measured" }
        return "by what layers were measured to take (\(measuredIn))" + (reckonedBalance.map { "; parted by arithmetic it would be \(Figures.number($0))" } ?? "")
    }

    var json: String {
        var writer = JSONWriter(capacity: 1024)
        writer.beginObject()
        writer.member("layout", plan.description)
        writer.member("strategy", plan.strategy.rawValue)
        writer.key("balance")
        writer.number(plan.balance)
        writer.key("arithmetic_balance")
        if let reckonedBalance { writer.number(reckonedBalance) } else { writer.null() }
        writer.key("measured_in")
        if let measuredIn { writer.string(measuredIn) } else { writer.null() }
        writer.key("utilization")
        writer.number(plan.utilization)
        writer.member("weight_bytes", model.weightBytes)
        writer.member("layer_bytes", model.layerBytes)
        writer.key("largest_layer_share")
        if let largestLayerShare { writer.number(largestLayerShare) } else { writer.null() }
        writer.member("embedding_bytes", model.embedding.bytes)
        writer.member("cost_unit", model.costUnit.rawValue)
        writer.key("layer_costs")
        writer.beginArray()
        for layer in model.layers { writer.number(layer.cost) }
        writer.endArray()
        writer.key("cut_tensors")
        writer.beginArray()
        for tensor in model.cutTensors { writer.string(tensor) }
        writer.endArray()
        writer.key("plan")
        plan.write(to: &writer)
        writer.key("notes")
        writer.beginArray()
        for note in notes { writer.string(note) }
        writer.endArray()
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self) + "\n"
    }
}
