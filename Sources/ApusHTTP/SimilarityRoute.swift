import ApusErrors
import ApusJSON
import ApusService

/// `POST /v1/similarity`: the members `source_sentence` and `sentences` of text-embeddings-inference's `/similarity`, there in an object
/// `inputs`, which is understood here, too. Several sources make a matrix.
struct SimilarityRoute {
    let service: InferenceService
    let maxInputs: Int

    func answer(_ request: HTTPRequest, arrival: ContinuousClock.Instant) async throws(ApusError) -> HTTPReply {
        let body = try RequestBody(request, arrival: arrival)
        let texts = try body.object["inputs"].map { inputs throws(ApusError) in
            body.part(try inputs.objectValue(at: "inputs"))
        } ?? body
        var sources: [String] = []
        var isSingle = false
        if case .string(let text) = try texts.required("source_sentence") {
            (sources, isSingle) = ([text], true)
        } else {
            sources = try texts.texts("source_sentence", maxInputs: maxInputs)
        }
        let order = SimilarityRequest(
            model: try body.string("model"), sources: sources, sentences: try texts.texts("sentences", maxInputs: maxInputs),
            options: try body.options())
        let provenance = try body.wantsProvenance()
        let reply = try await service.similarity(order, for: request.caller)
        return .json(headers: reply.summary.headers(failures: nil), Self.body(reply, isSingle: isSingle, provenance: provenance))
    }

    private static func body(_ reply: SimilarityReply, isSingle: Bool, provenance: Bool) -> [UInt8] {
        var writer = JSONWriter(capacity: 256 + reply.scores.reduce(0) { $0 + $1.count * 13 })
        writer.beginObject()
        writer.member("object", "list")
        writer.member("model", reply.model.id)
        writer.key("scores")
        if !isSingle { writer.beginArray() }
        for row in reply.scores { writer.numbers(row) }
        if !isSingle { writer.endArray() }
        writer.usage(tokens: reply.summary.tokens)
        if provenance { writer.provenance(reply.provenance, failures: [:]) }
        writer.endObject()
        return writer.bytes
    }
}
