import ApusErrors
import ApusService
import CoreMetrics
import MetricsTestKit
import Testing

@Suite("What the service counts")
struct ServiceMetricsTests {
    @Test("Requests are counted by route and code, timed, and no longer in flight when they are over")
    func requests() throws {
        let backend = TestMetrics()
        let metrics = ServiceMetrics(backend)
        metrics.began()
        metrics.began()
        metrics.ended(.embeddings, code: nil, duration: .microseconds(1500))
        metrics.ended(.embeddings, code: .invalidJSON, duration: .milliseconds(2))
        metrics.refused(code: .bodyTooLarge)

        let ok = try backend.expectCounter("apus_requests_total", [("route", "/v1/embeddings"), ("code", "ok")])
        #expect(ok.totalValue == 1)
        let failed = try backend.expectCounter("apus_requests_total", [("route", "/v1/embeddings"), ("code", "invalid_json")])
        #expect(failed.totalValue == 1)
        let refused = try backend.expectCounter("apus_requests_total", [("route", "unknown"), ("code", "body_too_large")])
        #expect(refused.totalValue == 1)
        let times = try backend.expectTimer("apus_request_seconds", [("route", "/v1/embeddings")])
        #expect(times.values == [1_500_000, 2_000_000])
        #expect(try backend.expectMeter("apus_in_flight_requests").values.last == 0)
    }

    @Test("Truncated inputs are counted by model")
    func truncation() async throws {
        let backend = TestMetrics()
        let model = FixedModel { _, _ in
            EmbeddingBatch(vectors: [1, 0, 0, 1], dimensions: 2, provenance: [.plain(), .plain(tokens: 4, original: 9)])
        }
        let service = InferenceService(catalog: OneModel(model: model), metrics: ServiceMetrics(backend))
        _ = try await service.embed(EmbedRequest(model: "m", inputs: [.text("a"), .text("b")]))
        #expect(try backend.expectCounter("apus_truncated_inputs_total", [("model", "m")]).totalValue == 1)
    }
}
