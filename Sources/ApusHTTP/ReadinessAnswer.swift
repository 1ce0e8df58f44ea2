import ApusJSON
import ApusService

/// The answer of `GET /health/ready`.
enum ReadinessAnswer {
    static func body(_ report: ReadinessReport) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("status")
        writer.string(report.isReady ? "ready" : report.draining ? "draining" : "not_ready")
        writer.key("models")
        writer.beginArray()
        for model in report.models {
            writer.beginObject()
            writer.key("model")
            writer.string(model.model)
            writer.key("device")
            writer.string(model.device)
            writer.key("state")
            writer.string(model.state.rawValue)
            writer.key("cosine")
            if let cosine = model.cosine { writer.number(cosine) } else { writer.null() }
            writer.key("detail")
            if let detail = model.detail { writer.string(detail) } else { writer.null() }
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }
}
