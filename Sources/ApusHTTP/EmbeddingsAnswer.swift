import ApusJSON
import ApusService

/// The answer of `POST /v1/embeddings`.
struct EmbeddingsAnswer {
    let reply: EmbedReply
    let encoding: EmbeddingsBody.Encoding
    let provenance: Bool

    /// OpenAI's list, and `provenance` when it was asked for.
    var body: [UInt8] {
        let batch = reply.batch
        let perVector = encoding == .float ? batch.dimensions * 13 : batch.dimensions * 6
        var writer = JSONWriter(capacity: 256 + batch.provenance.count * (perVector + 64))
        writer.beginObject()
        writer.key("object")
        writer.string("list")
        writer.key("data")
        writer.beginArray()
        for row in batch.provenance.indices {
            writer.beginObject()
            writer.key("object")
            writer.string("embedding")
            writer.key("index")
            writer.integer(row)
            writer.key("embedding")
            let vector = batch.vectors[row * batch.dimensions..<(row + 1) * batch.dimensions]
            switch encoding {
            case .float: writer.numbers(vector)
            case .base64: writer.base64(vector)
            }
            writer.endObject()
        }
        writer.endArray()
        writer.key("model")
        writer.string(reply.model.id)
        writer.key("usage")
        writer.beginObject()
        writer.key("prompt_tokens")
        writer.integer(reply.promptTokens)
        writer.key("total_tokens")
        writer.integer(reply.promptTokens)
        writer.endObject()
        if provenance {
            writer.key("provenance")
            writer.beginArray()
            for input in batch.provenance { Self.append(input, to: &writer) }
            writer.endArray()
        }
        writer.endObject()
        return writer.bytes
    }

    /// The headers that every answer with vectors carries.
    var headers: [(String, String)] {
        let summary = reply.summary
        return [
            ("x-apus-device", summary.devices.joined(separator: ",")),
            ("x-apus-precision", summary.precisions.joined(separator: ",")),
            ("x-apus-fallback", summary.fallback.rawValue),
            ("x-apus-batch", String(summary.batchSize)),
            ("x-apus-cache", "hit=\(summary.cacheHits), miss=\(summary.cacheMisses)"),
            ("x-apus-truncated", String(summary.truncated)),
        ]
    }

    private static func append(_ input: EmbeddingProvenance, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("device")
        writer.string(input.device)
        writer.key("precision")
        writer.string(input.precision)
        writer.key("fallback")
        writer.string(input.fallback.rawValue)
        writer.key("batch_size")
        writer.integer(input.batchSize)
        writer.key("padding")
        writer.integer(input.padding)
        writer.key("cache")
        writer.string(input.cache.rawValue)
        writer.key("truncated")
        writer.bool(input.truncated)
        writer.key("original_tokens")
        writer.integer(input.originalTokens)
        writer.key("queue_ms")
        writer.number(input.queueMilliseconds)
        writer.key("run_ms")
        writer.number(input.runMilliseconds)
        writer.endObject()
    }
}
