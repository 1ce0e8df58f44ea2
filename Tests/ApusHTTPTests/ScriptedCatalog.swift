import ApusService

/// Models in every state a request can meet.
struct ScriptedCatalog: ModelCatalog {
    let plain = ScriptedModel("m")
    let wide = ScriptedModel("wide", dimensions: 384)
    let gated: ScriptedModel
    let reranker = ModelDescription(
        id: "reranker", created: 0, task: .rerank, dimensions: 1, maxTokens: 16, vocabularySize: 100, precision: "fp32",
        devices: ["cpu:0"], weightsSHA256: ""
    )
    var failing = false

    init(gate: Gate = Gate()) {
        gated = ScriptedModel("org/gated", gate: gate)
    }

    func entry(_ id: String) -> CatalogEntry? {
        switch id {
        case "m": .ready(plain)
        case "wide": .ready(wide)
        case "org/gated": .ready(gated)
        case "slow-to-load": .loading(retryAfter: 7)
        case "broken": .failed(reason: "its weights are cut short")
        case "reranker": .otherTask(reranker)
        default: nil
        }
    }

    var models: [ModelDescription] { [plain.description, wide.description, gated.description, reranker] }

    var readiness: [ModelReadiness] {
        [
            ModelReadiness(model: "m", device: "cpu:0", state: .ready, cosine: 1),
            ModelReadiness(model: "m", device: "cpu:1", state: .failed, detail: "gone"),
            ModelReadiness(model: "other", device: "cpu:0", state: failing ? .failed : .ready),
        ]
    }
}
