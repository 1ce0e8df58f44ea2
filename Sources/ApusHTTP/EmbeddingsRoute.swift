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
        if request.body.readableBytes > 0 { try headers.requireJSON() }
        let body = try parse(request.body)
        let reply = try await service.embed(
            EmbedRequest(
                model: body.model,
                inputs: body.inputs,
                dimensions: body.dimensions,
                options: EmbeddingOptions(
                    truncation: body.truncation, deadline: asked.deadline, priority: asked.priority, partial: body.partial),
                faults: body.faults
            ),
            for: request.caller
        )
        let answer = EmbeddingsAnswer(
            reply: reply, encoding: body.encoding, provenance: body.provenance || asked.provenance, partial: body.partial
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
}
