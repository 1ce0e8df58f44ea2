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
        writer.usage(tokens: reply.promptTokens)
        if provenance { writer.provenance(batch.provenance, failures: batch.failures) }
        writer.endObject()
        return writer.bytes
    }

    /// The headers that every answer with vectors carries, and the number of errors where there may be some.
    var headers: [(String, String)] { reply.summary.headers(failures: partial ? reply.batch.failures.count : nil) }
}
