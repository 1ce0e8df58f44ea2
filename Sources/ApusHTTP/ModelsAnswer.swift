import ApusJSON
import ApusService

/// The answers of `GET /v1/models` and `GET /v1/models/{id}`.
enum ModelsAnswer {
    static func list(_ models: [ModelDescription]) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("object")
        writer.string("list")
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

    private static func append(_ model: ModelDescription, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("id")
        writer.string(model.id)
        writer.key("object")
        writer.string("model")
        writer.key("created")
        writer.integer(model.created)
        writer.key("owned_by")
        writer.string("apus")
        writer.key("task")
        writer.string(model.task.rawValue)
        writer.key("dimensions")
        writer.integer(model.dimensions)
        writer.key("max_tokens")
        writer.integer(model.maxTokens)
        writer.key("precision")
        writer.string(model.precision)
        writer.key("devices")
        writer.beginArray()
        for device in model.devices { writer.string(device) }
        writer.endArray()
        writer.key("weights_sha256")
        writer.string(model.weightsSHA256)
        writer.key("cosine_to_fp32")
        if let cosine = model.cosineToFP32 { writer.number(cosine) } else { writer.null() }
        writer.endObject()
    }
}
