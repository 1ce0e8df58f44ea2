import ApusErrors
import ApusService
import NIOCore
import NIOHTTP1

/// `POST /v1/embeddings`: wire to request, result to wire.
struct EmbeddingsRoute {
    let service: InferenceService
    let maxInputs: Int

    func answer(_ request: HTTPRequest, arrival: ContinuousClock.Instant) async throws(ApusError) -> HTTPReply {
        let headers = request.head.headers
        let asked = try RequestHeaders(headers, arrival: arrival)
        if request.body.readableBytes > 0 { try checkMediaType(headers) }
        let body = try parse(request.body)
        let reply = try await service.embed(
            EmbedRequest(
                model: body.model,
                inputs: body.inputs,
                dimensions: body.dimensions,
                options: EmbeddingOptions(truncation: body.truncation, deadline: asked.deadline, priority: asked.priority)
            )
        )
        let answer = EmbeddingsAnswer(
            reply: reply, encoding: body.encoding, provenance: body.provenance || asked.provenance
        )
        return .json(headers: answer.headers, answer.body)
    }

    private func parse(_ body: ByteBuffer) throws(ApusError) -> EmbeddingsBody {
        let result: Result<EmbeddingsBody, ApusError> = body.withUnsafeReadableBytes { bytes in
            do throws(ApusError) {
                return .success(try EmbeddingsBody(parsing: bytes, maxInputs: maxInputs))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// `application/json`, whatever its parameters, and no compression. A body without a type is refused too: browsers send such across
    /// origins without asking first.
    private func checkMediaType(_ headers: HTTPHeaders) throws(ApusError) {
        for coding in headers[canonicalForm: "content-encoding"] where coding.lowercased() != "identity" {
            throw ApusError(.unsupportedMediaType, "the body must not be compressed", advice: "Leave Content-Encoding out")
        }
        let types = headers["content-type"]
        let essence = types.first?.prefix { $0 != ";" }.lowercased().filter { $0 != " " && $0 != "\t" }
        guard types.count == 1, essence == "application/json" else {
            throw ApusError(
                .unsupportedMediaType, "the body must be JSON", advice: "Send Content-Type: application/json"
            )
        }
    }
}
