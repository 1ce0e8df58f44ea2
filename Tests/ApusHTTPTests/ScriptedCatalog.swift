import ApusErrors
import ApusService
import Synchronization

/// Models in every state a request can meet.
struct ScriptedCatalog: ModelCatalog {
    /// The queue of `m` and of `org/gated`; that of `wide` is its own.
    let crowd: Crowd
    let wideCrowd = Crowd()
    let plain: ScriptedModel
    let wide: ScriptedModel
    let gated: ScriptedModel
    let reranker: ScriptedModel
    let classifier: ScriptedModel
    var failing = false
    /// Serves `m` and `org/gated` until it is told otherwise.
    let lifecycle = ScriptedLifecycle()

    init(gate: Gate = Gate()) {
        crowd = Crowd()
        plain = ScriptedModel("m", crowd: crowd)
        wide = ScriptedModel("wide", dimensions: 384, crowd: wideCrowd)
        gated = ScriptedModel("org/gated", gate: gate, crowd: crowd)
        reranker = ScriptedModel("reranker", task: .rerank, labels: ["LABEL_0"])
        classifier = ScriptedModel("classifier", task: .classify, labels: ["low", "middle", "high"])
    }

    func entry(_ id: String) -> CatalogEntry? {
        switch lifecycle.state(of: id) {
        case .unloading: return .unloading
        case .unloaded: return .unloaded
        case .loading, .ready: break
        }
        return switch id {
        case "m": .ready(plain)
        case "wide": .ready(wide)
        case "org/gated": .ready(gated)
        case "slow-to-load": .loading(retryAfter: 7)
        case "broken": .failed(reason: "its weights are cut short")
        case "reranker": .ready(reranker)
        case "classifier": .ready(classifier)
        default: nil
        }
    }

    func load(_ id: String) async throws(ApusError) {
        guard entry(id) != nil else { throw ApusError(.modelNotFound, "there is no such model", place: "model") }
        if id == "broken" { throw ApusError(.invalidCheckpoint, "its weights are cut short", place: "model.safetensors") }
        lifecycle.set(id, .ready)
    }

    func unload(_ id: String) async throws(ApusError) {
        guard entry(id) != nil else { throw ApusError(.modelNotFound, "there is no such model", place: "model") }
        // The gated one still has something to answer.
        lifecycle.set(id, id == "org/gated" ? .unloading : .unloaded)
    }

    var models: [ModelDescription] { [plain, wide, gated, reranker, classifier].map(\.description) }

    var readiness: [ModelReadiness] {
        [
            ModelReadiness(model: "m", device: "cpu:0", state: .ready, cosine: 1),
            ModelReadiness(model: "m", device: "cpu:1", state: .failed, detail: "gone"),
            ModelReadiness(model: "other", device: "cpu:0", state: failing ? .failed : .ready),
        ]
    }
}

/// Which models an operator took out of service.
final class ScriptedLifecycle: Sendable {
    private let states = Mutex<[String: ModelState.Standing]>([:])

    func state(of id: String) -> ModelState.Standing { states.withLock { $0[id] ?? .ready } }
    func set(_ id: String, _ state: ModelState.Standing) { states.withLock { $0[id] = state } }
}
