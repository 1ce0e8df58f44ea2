import ApusJSON
import ApusService

/// The answer of `POST /v1/embeddings`.
struct EmbeddingsAnswer {
    let reply: EmbedReply
    let encoding: EmbeddingsBody.Encoding
    let provenance: Bool
    /// Whether errors may stand in the place of vectors.
    let partial: Bool

    /// OpenAI's list, and `provenance` when it was asked for. Where an input failed alone, its error stands in its place in both.
    var body: [UInt8] {
        let batch = reply.batch
        let perVector = encoding == .float ? batch.dimensions * 13 : batch.dimensions * 6
        var writer = JSONWriter(capacity: 256 + batch.provenance.count * (perVector + 64))
        writer.beginObject()
        writer.member("object", "list")
        writer.key("data")
        writer.beginArray()
        for row in batch.provenance.indices {
            writer.beginObject()
            if let failure = batch.failures[row] {
                writer.member("object", "error")
                writer.member("index", row)
                writer.key("error")
                writer.error(failure)
                writer.endObject()
                continue
            }
            writer.member("object", "embedding")
            writer.member("index", row)
            writer.key("embedding")
            let vector = batch.vectors[row * batch.dimensions..<(row + 1) * batch.dimensions]
            switch encoding {
            case .float: writer.numbers(vector)
            case .base64: writer.base64(vector)
            }
            writer.endObject()
        }
        writer.endArray()
        writer.member("model", reply.model.id)
        writer.key("usage")
        writer.beginObject()
        writer.member("prompt_tokens", reply.promptTokens)
        writer.member("total_tokens", reply.promptTokens)
        writer.endObject()
        if provenance {
            writer.key("provenance")
            writer.beginArray()
            for (row, input) in batch.provenance.enumerated() {
                if batch.failures[row] == nil { Self.append(input, to: &writer) } else { writer.null() }
            }
            writer.endArray()
        }
        writer.endObject()
        return writer.bytes
    }

    /// The headers that every answer with vectors carries, and the number of errors where there may be some.
    var headers: [(String, String)] {
        let summary = reply.summary
        let errors = partial ? [("x-apus-errors", String(reply.batch.failures.count))] : []
        return errors + [
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
        writer.member("device", input.device)
        writer.member("precision", input.precision)
        writer.member("fallback", input.fallback.rawValue)
        writer.member("batch_size", input.batchSize)
        writer.member("padding", input.padding)
        writer.member("cache", input.cache.rawValue)
        writer.member("truncated", input.truncated)
        writer.member("original_tokens", input.originalTokens)
        writer.key("queue_ms")
        writer.number(input.queueMilliseconds)
        writer.key("run_ms")
        writer.number(input.runMilliseconds)
        writer.endObject()
    }
}
