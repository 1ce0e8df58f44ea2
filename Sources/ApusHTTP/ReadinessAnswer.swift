import ApusJSON
import ApusService

/// The answer of `GET /health/ready`.
enum ReadinessAnswer {
    static func body(_ report: ReadinessReport) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("status", report.isReady ? "ready" : report.draining ? "draining" : "not_ready")
        writer.key("models")
        writer.beginArray()
        for model in report.models {
            writer.beginObject()
            writer.member("model", model.model)
            writer.member("device", model.device)
            writer.member("state", model.state.rawValue)
            writer.key("cosine")
            if let cosine = model.cosine { writer.number(cosine) } else { writer.null() }
            writer.key("detail")
            if let detail = model.detail { writer.string(detail) } else { writer.null() }
            writer.endObject()
        }
        writer.endArray()
        writer.key("capacity")
        if let standing = report.standing { writer.number(standing.capacity) } else { writer.null() }
        writer.key("remedy")
        if let remedy = report.standing?.remedy { writer.string(remedy) } else { writer.null() }
        writer.key("chaos")
        if let chaos = report.standing?.chaos { writer.string(chaos) } else { writer.null() }
        writer.endObject()
        return writer.bytes
    }
}
