import ApusErrors
import ApusJSON
import ApusService

/// `POST /v1/classify`, as Jina has it: texts or pairs of texts in, labels and their scores out.
struct ClassifyRoute {
    let service: InferenceService
    let maxInputs: Int

    func answer(_ request: HTTPRequest, arrival: ContinuousClock.Instant) async throws(ApusError) -> HTTPReply {
        let body = try RequestBody(request, arrival: arrival)
        let order = ClassifyRequest(
            model: try body.string("model"), inputs: try inputs(try body.required("input")), top: try body.count("top_k"),
            numbers: try body.numbers(), options: try body.options())
        let provenance = try body.wantsProvenance()
        let reply = try await service.classify(order, for: request.caller)
        return .json(
            headers: reply.summary.headers(failures: order.options.partial ? reply.failures.count : nil),
            Self.body(reply, provenance: provenance))
    }

    /// One text, or a list of texts and pairs: `["premise", "hypothesis"]` or `{"text": …, "text_pair": …}`.
    private func inputs(_ value: JSONValue) throws(ApusError) -> [EmbeddingInput] {
        switch value {
        case .string(let text): return [.text(text)]
        case .object: return [try Self.input(value, at: "input")]
        case .array(let elements):
            try RequestBody.check(elements.count, maxInputs, "input")
            var inputs: [EmbeddingInput] = []
            inputs.reserveCapacity(elements.count)
            for (index, element) in elements.enumerated() { inputs.append(try Self.input(element, at: "input[\(index)]")) }
            return inputs
        default: throw Self.wrong("input")
        }
    }

    private static func input(_ value: JSONValue, at place: String) throws(ApusError) -> EmbeddingInput {
        switch value {
        case .string(let text):
            return .text(text)
        case .array(let parts):
            guard parts.count == 2, case .string(let first) = parts[0], case .string(let second) = parts[1] else { throw wrong(place) }
            return .pair(first, second)
        case .object(let object):
            guard case .string(let text)? = object["text"] else { throw wrong(place) }
            switch object["text_pair"] {
            case nil: return .text(text)
            case .string(let pair): return .pair(text, pair)
            default: throw wrong(place)
            }
        default:
            throw wrong(place)
        }
    }

    private static func wrong(_ place: String) -> ApusError {
        ApusError(
            .invalidValue, "must be a text, a pair of texts, or an object with a string \"text\" and, for a pair, a string \"text_pair\"",
            place: place)
    }

    private static func body(_ reply: ClassifyReply, provenance: Bool) -> [UInt8] {
        let labels = reply.predictions.reduce(0) { $0 + $1.count }
        var writer = JSONWriter(capacity: 256 + reply.provenance.count * 96 + labels * 40)
        writer.beginObject()
        writer.member("object", "list")
        writer.member("model", reply.model.id)
        writer.key("data")
        writer.beginArray()
        for (row, predictions) in reply.predictions.enumerated() {
            writer.beginObject()
            writer.member("object", reply.failures[row] == nil ? "classification" : "error")
            writer.member("index", row)
            if let failure = reply.failures[row] {
                writer.key("error")
                writer.error(failure)
            } else if let best = predictions.first {
                writer.member("prediction", best.label)
                writer.key("score")
                writer.number(best.score)
                writer.key("predictions")
                writer.beginArray()
                for prediction in predictions {
                    writer.beginObject()
                    writer.member("label", prediction.label)
                    writer.key("score")
                    writer.number(prediction.score)
                    writer.endObject()
                }
                writer.endArray()
            }
            writer.endObject()
        }
        writer.endArray()
        writer.usage(tokens: reply.summary.tokens)
        if provenance { writer.provenance(reply.provenance, failures: reply.failures) }
        writer.endObject()
        return writer.bytes
    }
}
