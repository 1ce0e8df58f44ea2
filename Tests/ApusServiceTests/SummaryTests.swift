import ApusService
import Testing

@Suite("Summaries")
struct SummaryTests {
    @Test("A request's provenance names each device once and the gravest fallback")
    func provenance() {
        func input(_ device: String, _ fallback: EmbeddingProvenance.Fallback, _ cache: EmbeddingProvenance.Cache, batch: Int) -> EmbeddingProvenance {
            EmbeddingProvenance(
                device: device, precision: device == "cpu:0" ? "fp32" : "fp16", fallback: fallback, cache: cache, batchSize: batch,
                padding: 1, tokens: 5, originalTokens: batch, queueMilliseconds: 0, runMilliseconds: 0
            )
        }
        let summary = ProvenanceSummary([
            input("cuda:1", .none, .miss, batch: 4), input("cpu:0", .temporary, .hit, batch: 9),
            input("cuda:1", .none, .miss, batch: 5),
        ])
        #expect(summary.devices == ["cuda:1", "cpu:0"])
        #expect(summary.precisions == ["fp16", "fp32"])
        #expect(summary.fallback == .temporary)
        #expect(summary.batchSize == 9)
        #expect(summary.cacheHits == 1)
        #expect(summary.cacheMisses == 2)
        #expect(summary.truncated == 1)
        #expect(summary.tokens == 15)
        #expect(ProvenanceSummary([input("a", .permanent, .hit, batch: 1), input("a", .temporary, .hit, batch: 1)]).fallback == .permanent)
        #expect(ProvenanceSummary([input("a", .temporary, .hit, batch: 1), input("a", .permanent, .hit, batch: 1)]).fallback == .permanent)
    }

    @Test("Ready means every named model on at least one device")
    func readiness() {
        func line(_ model: String, _ device: String, _ state: ModelReadiness.State) -> ModelReadiness {
            ModelReadiness(model: model, device: device, state: state)
        }
        func isReady(_ models: [ModelReadiness], draining: Bool = false) -> Bool {
            ReadinessReport(draining: draining, models: models).isReady
        }
        #expect(!isReady([]))
        #expect(isReady([line("a", "cpu:0", .ready)]))
        #expect(!isReady([line("a", "cpu:0", .ready)], draining: true))
        #expect(!isReady([line("a", "cpu:0", .loading)]))
        #expect(isReady([line("a", "cpu:0", .failed), line("a", "cpu:1", .ready)]))
        #expect(!isReady([line("a", "cpu:0", .ready), line("b", "cpu:0", .failed)]))
    }
}
