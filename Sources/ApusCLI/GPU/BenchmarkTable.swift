import ApusJSON

/// What was measured, as a table or as JSON.
struct BenchmarkTable {
    struct Row {
        /// `cpu` for all cores together, which the others are compared with.
        let device: String
        let name: String
        let precision: String
        /// Texts in one request.
        let batch: Int
        /// Median of a request.
        let milliseconds: Double
        let rounds: Int

        var textsPerSecond: Double { milliseconds > 0 ? Double(batch) * 1000 / milliseconds : 0 }
    }

    let model: String
    var rows: [Row] = []
    var failures: [MeasurementFailure] = []

    /// The name of the row that others are compared with.
    static let baseline = "cpu"

    private func speedup(_ row: Row) -> Double? {
        guard let cpu = rows.first(where: { $0.device == Self.baseline && $0.batch == row.batch }), row.milliseconds > 0 else { return nil }
        return cpu.milliseconds / row.milliseconds
    }

    var text: String {
        let cells = rows.map { row in
            [
                row.device, row.precision, String(row.batch), Figures.number(row.milliseconds), Figures.number(row.textsPerSecond),
                speedup(row).map { "\(Figures.number($0))x" } ?? Figures.unknown, row.name,
            ]
        }
        var text = Paragraph("\(model), medians of whole requests from text to vectors, in worker processes").text + "\n"
        text += TextTable(["DEVICE", "PRECISION", "TEXTS", "MS", "TEXTS/S", "SPEED-UP", "NAME"], cells, shortened: 6).text
        return text + failures.text
    }

    var json: String {
        var writer = JSONWriter(capacity: 1024 + rows.count * 160)
        writer.beginObject()
        writer.member("model", model)
        writer.key("results")
        writer.beginArray()
        for row in rows {
            writer.beginObject()
            writer.member("device", row.device)
            writer.member("name", row.name)
            writer.member("precision", row.precision)
            writer.member("batch", row.batch)
            writer.key("latency_ms")
            writer.number(row.milliseconds)
            writer.key("texts_per_second")
            writer.number(row.textsPerSecond)
            writer.key("speedup")
            if let speedup = speedup(row) { writer.number(speedup) } else { writer.null() }
            writer.member("rounds", row.rounds)
            writer.endObject()
        }
        writer.endArray()
        failures.write(to: &writer)
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self) + "\n"
    }
}
