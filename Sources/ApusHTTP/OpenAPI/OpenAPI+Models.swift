import ApusErrors
import ApusService

/// The routes that tell of models and change which of them serve, and those that tell how the server is.
extension OpenAPI.Document {
    private typealias Schema = OpenAPI.Schema

    var listModels: OpenAPI.Operation {
        OpenAPI.Operation(
            id: "listModels", tag: .models, summary: "The models that are loaded",
            answers: [
                .init(about: "The models", schema: .object(["object": .fixed("list"), "data": .list(of: .named(.model))]))
            ])
    }

    var getModel: OpenAPI.Operation {
        OpenAPI.Operation(
            id: "getModel", tag: .models, summary: "One model", parameters: [Self.modelID],
            answers: [.init(about: "The model", schema: .named(.model))], errors: [.modelNotFound])
    }

    func changeModel(_ id: String, _ summary: String) -> OpenAPI.Operation {
        OpenAPI.Operation(
            id: id, tag: .models, summary: summary, parameters: [Self.modelID],
            answers: [
                .init(about: "It is done", schema: .named(.modelState)),
                .init(status: 202, about: "It has begun", schema: .named(.modelState)),
            ],
            errors: Self.modelErrors.filter { !Self.bodyErrors.contains($0) } + [.invalidCheckpoint, .unsupportedModel, .unsupportedPlan, .unsupportedPrecision, .notFound])
    }

    private static let modelID = OpenAPI.Parameter(
        name: "id", place: .path, about: "A model's name", schema: .string(length: 1...512), example: "all-MiniLM-L6-v2")

    var model: OpenAPI.Schema {
        .object(
            [
                "id": .string(), "object": .fixed("model"), "created": .integer("Seconds since 1970"), "owned_by": .fixed("apus"),
                "task": .choice(ModelDescription.Task.allCases.map(\.rawValue)),
                "dimensions": Schema.integer("Elements of a vector; null for models that give labels", from: 1).orNull,
                "labels": .list(of: .string(), "There for models that give them"), "max_tokens": .integer(from: 1), "precision": .string("fp32"),
                "segments": .integer("Parts that it is run in", from: 1), "offload": .flag("Whether weights are read in every step"),
                "devices": .list(of: .string("cpu:0")), "weights_sha256": .string(pattern: "^[0-9a-f]*$"),
                "cosine_to_fp32": Schema.number("How near its answers are to those of plain fp32").orNull,
            ],
            required: [
                "id", "object", "created", "owned_by", "task", "dimensions", "max_tokens", "precision", "segments", "offload", "devices",
                "weights_sha256", "cosine_to_fp32",
            ])
    }

    var modelState: OpenAPI.Schema {
        .object(["id": .string(), "object": .fixed("model"), "state": .choice(ModelState.Standing.allCases.map(\.rawValue))])
    }

    // MARK: Health

    var live: OpenAPI.Operation {
        OpenAPI.Operation(
            id: "live", tag: .health, summary: "Whether the process answers",
            answers: [.init(about: "It does", schema: .fixed("ok\n"), mediaType: "text/plain")])
    }

    var ready: OpenAPI.Operation {
        let model = Schema.object([
            "model": .string(), "device": .string("cpu:0"), "state": .choice(ModelReadiness.State.allCases.map(\.rawValue)),
            "cosine": Schema.number("Of its known answer").orNull, "detail": Schema.string("Why it is not ready").orNull,
        ])
        let report = Schema.object([
            "status": .choice(["ready", "not_ready", "draining"]), "models": .list(of: model),
            "capacity": Schema.number("Share of the intended speed that is there", from: 0).orNull,
            "remedy": Schema.string("Who stands in for devices that do not serve").orNull,
            "chaos": Schema.string("Failures that are caused on purpose").orNull,
        ])
        // Its 503 is a report, too: what befalls other routes then cannot befall this one.
        return OpenAPI.Operation(
            id: "ready", tag: .health, summary: "Whether every model gave its known answer",
            answers: [
                .init(about: "Requests should be sent here", schema: report),
                .init(status: 503, about: "They should not, now", schema: .any(of: [report, .named(.error)])),
            ])
    }

    var metrics: OpenAPI.Operation {
        OpenAPI.Operation(
            id: "metrics", tag: .health, summary: "Figures for Prometheus",
            answers: [.init(about: "Prometheus' text format", schema: .string(), mediaType: "text/plain")])
    }

    var openAPI: OpenAPI.Operation {
        OpenAPI.Operation(
            id: "openAPI", tag: .health, summary: "This document",
            answers: [
                .init(
                    about: "OpenAPI 3.1",
                    schema: .object([
                        "openapi": .string(pattern: "^3\\.1\\."), "info": .members("Title and version"), "paths": .members("All routes"),
                        "components": .members("What they share"),
                    ]))
            ])
    }
}
