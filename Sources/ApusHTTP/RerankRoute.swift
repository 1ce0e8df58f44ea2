import ApusErrors
import ApusJSON
import ApusService

/// `POST /v1/rerank`, as Jina and Cohere have it: query and documents in, an order out.
struct RerankRoute {
    let service: InferenceService
    let maxInputs: Int

    func answer(_ request: HTTPRequest, arrival: ContinuousClock.Instant) async throws(ApusError) -> HTTPReply {
        let body = try RequestBody(request, arrival: arrival)
        let order = RerankRequest(
            model: try body.string("model"), query: try body.string("query"), documents: try body.texts("documents", maxInputs: maxInputs),
            top: try body.count("top_n"), numbers: try body.numbers(), options: try body.options())
        let withText = try body.flag("return_documents")
        let provenance = try body.wantsProvenance()
        let reply = try await service.rerank(order, for: request.caller)
        return .json(
            headers: reply.summary.headers(failures: order.options.partial ? reply.failures.count : nil),
            Self.body(reply, documents: withText ? order.documents : nil, provenance: provenance))
    }

    /// Documents that failed alone stand behind the others, with their error in place of a score.
    private static func body(_ reply: RerankReply, documents: [String]?, provenance: Bool) -> [UInt8] {
        var writer = JSONWriter(capacity: 256 + reply.provenance.count * 64)
        writer.beginObject()
        writer.member("object", "list")
        writer.member("model", reply.model.id)
        writer.key("results")
        writer.beginArray()
        for result in reply.results {
            writer.beginObject()
            writer.member("index", result.index)
            writer.key("relevance_score")
            writer.number(result.score)
            if let documents {
                writer.key("document")
                writer.beginObject()
                writer.member("text", documents[result.index])
                writer.endObject()
            }
            writer.endObject()
        }
        for (index, failure) in reply.failures.sorted(by: { $0.key < $1.key }) {
            writer.beginObject()
            writer.member("index", index)
            writer.key("error")
            writer.error(failure)
            writer.endObject()
        }
        writer.endArray()
        writer.usage(tokens: reply.summary.tokens)
        writer.key("meta")
        writer.beginObject()
        writer.key("tokens")
        writer.beginObject()
        writer.member("input_tokens", reply.summary.tokens)
        writer.endObject()
        writer.endObject()
        if provenance { writer.provenance(reply.provenance, failures: reply.failures) }
        writer.endObject()
        return writer.bytes
    }
}
