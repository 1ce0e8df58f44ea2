import ApusErrors
import ApusExecution
import ApusService

/// The routes that ask a model.
extension OpenAPI.Document {
    var embeddings: OpenAPI.Operation {
        OpenAPI.Operation(
            id: "createEmbeddings", tag: .inference, summary: "Make vectors of texts", parameters: OpenAPI.Parameter.ofModels,
            body: .init(
                schema: .embeddingsRequest,
                examples: [
                    "one": ["model": "all-MiniLM-L6-v2", "input": "Swifts sleep on the wing."],
                    "several": [
                        "model": "all-MiniLM-L6-v2", "input": ["Swifts sleep on the wing.", "Interest rates rose."], "encoding_format": "base64",
                        "dimensions": 128, "provenance": true,
                    ],
                    "tokens": ["model": "all-MiniLM-L6-v2", "input": [101, 26619, 3637, 102]],
                    "tokensOfSeveral": ["model": "all-MiniLM-L6-v2", "input": [[101, 26619, 102], [101, 3637, 102]]],
                    "partial": ["model": "all-MiniLM-L6-v2", "input": ["right", ""], "partial": true, "truncate": false, "user": "anyone"],
                ]),
            answers: [.init(about: "One vector for each input", schema: .named(.embeddings), provenance: true)],
            errors: Self.modelErrors)
    }

    var rerank: OpenAPI.Operation {
        OpenAPI.Operation(
            id: "rerank", tag: .inference, summary: "Order documents by how well they fit a query", parameters: OpenAPI.Parameter.ofModels,
            body: .init(
                schema: .rerankRequest,
                examples: [
                    "texts": [
                        "model": "ms-marco-MiniLM-L6-v2", "query": "How do swifts sleep?", "documents": ["On the wing.", "Interest rates rose."],
                        "top_n": 1,
                    ],
                    "objects": [
                        "model": "ms-marco-MiniLM-L6-v2", "query": "How do swifts sleep?", "documents": [["text": "On the wing."], "Rates rose."],
                        "return_documents": true, "raw_scores": true, "provenance": true,
                    ],
                ]),
            answers: [.init(about: "The documents, the best first", schema: .named(.ranking), provenance: true)], errors: Self.modelErrors)
    }

    var classify: OpenAPI.Operation {
        OpenAPI.Operation(
            id: "classify", tag: .inference, summary: "Put labels to texts or pairs of texts", parameters: OpenAPI.Parameter.ofModels,
            body: .init(
                schema: .classifyRequest,
                examples: [
                    "one": ["model": "sentiment", "input": "What a day!"],
                    "pairs": [
                        "model": "sentiment", "top_k": 1,
                        "input": ["What a day!", ["Swifts fly.", "Birds fly."], ["text": "Swifts fly.", "text_pair": "Birds walk."]],
                    ],
                ]),
            answers: [.init(about: "The labels of each input, the best first", schema: .named(.classifications), provenance: true)],
            errors: Self.modelErrors)
    }

    var similarity: OpenAPI.Operation {
        OpenAPI.Operation(
            id: "similarity", tag: .inference, summary: "Compare texts by the cosine of their vectors", parameters: OpenAPI.Parameter.ofModels,
            body: .init(
                schema: .similarityRequest,
                examples: [
                    "one": [
                        "model": "all-MiniLM-L6-v2", "source_sentence": "Swifts sleep on the wing.",
                        "sentences": ["Swifts doze while they fly.", "Interest rates rose."],
                    ],
                    "matrix": [
                        "model": "all-MiniLM-L6-v2",
                        "inputs": ["source_sentence": ["Swifts sleep.", "Rates rose."], "sentences": ["Birds doze.", "Money got dearer."]],
                    ],
                ]),
            answers: [.init(about: "One cosine for each sentence; a row of them for each source of a list", schema: .named(.similarity), provenance: true)],
            errors: Self.modelErrors)
    }

    /// What a request to a model can come to, beside answers.
    static let modelErrors: [ApusError.Code] =
        bodyErrors + [
            .emptyInput, .stringTooLong, .arrayTooLong, .invalidToken, .contextLengthExceeded, .unsupportedTask, .modelNotFound, .modelLoading,
            .modelUnloaded, .modelFailed, .rateLimitExceeded, .deadlineExceeded, .requestQuarantined, .engineFailure, .wrongAnswer, .noDevice,
            .outOfMemory, .deviceUnavailable, .workerKilled, .workerCrashed, .deviceHung, .deviceLost, .devicePoisoned,
        ]

    static let bodyErrors: [ApusError.Code] = [.invalidJSON, .invalidValue, .unsupportedMediaType]

    // MARK: Requests

    private typealias Schema = OpenAPI.Schema

    private static let text = Schema.string("A text of at most 1 MiB of UTF-8", length: 1...1_048_576)
    private static let modelName = Schema.string("One of GET /v1/models")
    private static let truncate = Schema.flag("Whether what is too long is cut, and not refused", initial: true)
    static let told = Schema.flag("Whether the answer tells how each input was computed", initial: false)
    private static let partial = Schema.flag("Whether an input that fails alone leaves the others their answer", initial: false)
    private static let rawScores = Schema.flag("Whether the network's own numbers are told in place of scores", initial: false)

    private var texts: Schema { .list(of: Self.text, from: 1, to: maxInputs) }

    private var textsOrObjects: Schema {
        .list(of: .any(of: [Self.text, .object(["text": Self.text])]), from: 1, to: maxInputs)
    }

    var embeddingsRequest: OpenAPI.Schema {
        let tokens = Schema.list(of: .integer("A token id of the model's vocabulary", from: 0, to: Int(Int32.max)), from: 1)
        return .object(
            [
                "model": Self.modelName,
                "input": .any(
                    of: [Self.text, texts, tokens, .list(of: tokens, from: 1, to: maxInputs)], "A text or its token ids, or a list of either"),
                "encoding_format": .choice(["float", "base64"], "base64 is of little-endian 32-bit floats", initial: "float"),
                "dimensions": .integer("Elements that each vector is cut to", from: 1),
                "truncate": Self.truncate,
                "provenance": Self.told,
                "partial": Self.partial,
                "user": .string("Not used"),
            ], required: ["model", "input"])
    }

    var rerankRequest: OpenAPI.Schema {
        .object(
            [
                "model": Self.modelName, "query": Self.text, "documents": textsOrObjects,
                "top_n": .integer("The most documents in the answer", from: 1),
                "return_documents": .flag("Whether the answer repeats the texts", initial: false), "raw_scores": Self.rawScores,
                "truncate": Self.truncate, "provenance": Self.told, "partial": Self.partial,
            ], required: ["model", "query", "documents"])
    }

    var classifyRequest: OpenAPI.Schema {
        let pair = Schema.list(of: Self.text, "Two texts that are read together", from: 2, to: 2)
        let object = Schema.object(["text": Self.text, "text_pair": Self.text], required: ["text"])
        return .object(
            [
                "model": Self.modelName,
                "input": .any(of: [Self.text, object, .list(of: .any(of: [Self.text, pair, object]), from: 1, to: maxInputs)]),
                "top_k": .integer("The most labels of each input", from: 1), "raw_scores": Self.rawScores,
                "truncate": Self.truncate, "provenance": Self.told, "partial": Self.partial,
            ], required: ["model", "input"])
    }

    var similarityRequest: OpenAPI.Schema {
        let pair: KeyValuePairs<String, Schema> = ["source_sentence": .any(of: [Self.text, textsOrObjects]), "sentences": textsOrObjects]
        let rest = Schema.object(["model": Self.modelName, "truncate": Self.truncate, "provenance": Self.told], required: ["model"])
        return .both(rest, .any(of: [.object(pair), .object(["inputs": .object(pair)])]))
    }

    // MARK: Answers

    private static let tokens = Schema.integer(from: 0)

    /// One account for each input; null for one that failed alone.
    static let accounts = Schema.list(of: Schema.named(.provenance).orNull, "There when it was asked for")

    var provenance: OpenAPI.Schema {
        .object([
            "device": .string("cpu:0"), "precision": .string("fp32"),
            "fallback": .choice(EmbeddingProvenance.Fallback.allCases.map(\.rawValue)), "batch_size": .integer("Rows of its batch", from: 0),
            "padding": Self.tokens, "cache": .choice(EmbeddingProvenance.Cache.allCases.map(\.rawValue)), "truncated": .flag(),
            "original_tokens": Self.tokens, "queue_ms": .number(from: 0), "run_ms": .number(from: 0),
        ])
    }

    /// What stands in the place of an input that failed alone, where partial answers were asked for.
    private static let failed = Schema.object(["object": .fixed("error"), "index": tokens, "error": .named(.failure)])

    var embeddingsAnswer: OpenAPI.Schema {
        let vector = Schema.object([
            "object": .fixed("embedding"), "index": Self.tokens,
            "embedding": .any(of: [.list(of: .number(), from: 1), .string("base64", pattern: "^[A-Za-z0-9+/]+=*$")]),
        ])
        return .object(
            [
                "object": .fixed("list"), "data": .list(of: .any(of: [vector, Self.failed]), from: 1), "model": .string(), "usage": .named(.usage),
                "provenance": Self.accounts,
            ], required: ["object", "data", "model", "usage"])
    }

    var ranking: OpenAPI.Schema {
        let ranked = Schema.object(
            ["index": Self.tokens, "relevance_score": .number(), "document": .object(["text": .string()])], required: ["index", "relevance_score"])
        let failed = Schema.object(["index": Self.tokens, "error": .named(.failure)])
        return .object(
            [
                "object": .fixed("list"), "model": .string(), "results": .list(of: .any(of: [ranked, failed])), "usage": .named(.usage),
                "meta": .object(["tokens": .object(["input_tokens": Self.tokens])]), "provenance": Self.accounts,
            ], required: ["object", "model", "results", "usage", "meta"])
    }

    var classifications: OpenAPI.Schema {
        let prediction = Schema.object(["label": .string(), "score": .number()])
        let labelled = Schema.object([
            "object": .fixed("classification"), "index": Self.tokens, "prediction": .string("The best label"), "score": .number("Of the best label"),
            "predictions": .list(of: prediction, from: 1),
        ])
        return .object(
            [
                "object": .fixed("list"), "model": .string(), "data": .list(of: .any(of: [labelled, Self.failed]), from: 1),
                "usage": .named(.usage), "provenance": Self.accounts,
            ], required: ["object", "model", "data", "usage"])
    }

    var similarityAnswer: OpenAPI.Schema {
        let row = Schema.list(of: .number(from: -1, to: 1), from: 1)
        return .object(
            [
                "object": .fixed("list"), "model": .string(), "scores": .any(of: [row, .list(of: row, from: 1)]), "usage": .named(.usage),
                "provenance": Self.accounts,
            ], required: ["object", "model", "scores", "usage"])
    }
}

extension OpenAPI.Parameter {
    static let deadline = OpenAPI.Parameter(
        name: "x-apus-timeout-ms", place: .header, about: "Milliseconds after which the answer is of no use; then 504",
        schema: .integer(from: 0, to: 1 << 31), example: 30_000)

    /// The headers that requests to models may have.
    static let ofModels: [OpenAPI.Parameter] = [
        .deadline,
        OpenAPI.Parameter(
            name: "x-apus-priority", place: .header, about: "The class to wait in",
            schema: .choice(EmbeddingOptions.Priority.allCases.map(\.rawValue), initial: EmbeddingOptions.Priority.medium.rawValue)),
        OpenAPI.Parameter(
            name: "x-apus-provenance", place: .header, about: "1 is the same as the member provenance", schema: .choice(["0", "1"], initial: "0")),
    ]
}
