import Apus
import ApusJSON
import ApusTensor

/// The largest batches that fit, as a table or as JSON.
struct FitTable {
    struct Row {
        let device: DeviceID
        let name: String
        let fit: FitTrials.Fit
    }

    let model: String
    var rows: [Row] = []
    var failures: [MeasurementFailure] = []

    var text: String {
        let cells = rows.map { row in
            [
                "\(row.device)", row.fit.precision.rawValue, row.fit.texts.map { "\($0) x \(row.fit.length)" } ?? "none",
                row.fit.paddedTokens.map { "\(row.fit.isLimited ? "" : ">= ")\($0)" } ?? Figures.unknown, mebibytes(row.fit.bytes),
                row.fit.limitBytes.map(mebibytes) ?? "the device's", row.name,
            ]
        }
        var text = Paragraph("\(model), the largest batches of its longest texts that fit; servers remember what does not").text + "\n"
        text += TextTable(["DEVICE", "PRECISION", "TEXTS", "PADDED TOKENS", "MIB", "LIMIT", "NAME"], cells, shortened: 6).text
        return text + failures.text
    }

    var json: String {
        var writer = JSONWriter(capacity: 1024)
        writer.beginObject()
        writer.member("model", model)
        writer.key("fits")
        writer.beginArray()
        for row in rows {
            writer.beginObject()
            writer.member("device", row.device.description)
            writer.member("name", row.name)
            writer.member("precision", row.fit.precision.rawValue)
            writer.key("texts")
            if let texts = row.fit.texts { writer.integer(texts) } else { writer.null() }
            writer.member("tokens_each", row.fit.length)
            writer.key("padded_tokens")
            if let tokens = row.fit.paddedTokens { writer.integer(tokens) } else { writer.null() }
            writer.member("limited", row.fit.isLimited)
            writer.member("bytes", row.fit.bytes)
            writer.key("limit_bytes")
            if let limit = row.fit.limitBytes { writer.integer(limit) } else { writer.null() }
            writer.endObject()
        }
        writer.endArray()
        failures.write(to: &writer)
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self) + "\n"
    }

    private func mebibytes(_ bytes: Int) -> String { "\(bytes >> 20)" }
}
