import ApusJSON
import ApusService

/// The answers of `GET /v1/models` and `GET /v1/models/{id}`.
enum ModelsAnswer {
    static func list(_ models: [ModelDescription]) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("object", "list")
        writer.key("data")
        writer.beginArray()
        for model in models { append(model, to: &writer) }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }

    static func one(_ model: ModelDescription) -> [UInt8] {
        var writer = JSONWriter()
        append(model, to: &writer)
        return writer.bytes
    }

    /// The answer of `POST /v1/models/{id}/load` and `…/unload`.
    static func state(_ state: ModelState) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("id", state.id)
        writer.member("object", "model")
        writer.member("state", state.standing.rawValue)
        writer.endObject()
        return writer.bytes
    }

    private static func append(_ model: ModelDescription, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("id", model.id)
        writer.member("object", "model")
        writer.member("created", model.created)
        writer.member("owned_by", "apus")
        writer.member("task", model.task.rawValue)
        writer.key("dimensions")
        if model.labels.isEmpty { writer.integer(model.dimensions) } else { writer.null() }
        if !model.labels.isEmpty {
            writer.key("labels")
            writer.beginArray()
            for label in model.labels { writer.string(label) }
            writer.endArray()
        }
        writer.member("max_tokens", model.maxTokens)
        writer.member("precision", model.precision)
        writer.member("segments", model.segments)
        writer.member("offload", model.isOffloaded)
        writer.key("devices")
        writer.beginArray()
        for device in model.devices { writer.string(device) }
        writer.endArray()
        writer.member("weights_sha256", model.weightsSHA256)
        writer.key("cosine_to_fp32")
        if let cosine = model.cosineToFP32 { writer.number(cosine) } else { writer.null() }
        writer.endObject()
    }
}
