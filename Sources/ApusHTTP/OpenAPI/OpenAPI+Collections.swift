import ApusErrors
import ApusJSON
import ApusService
import ApusStores
import ApusVectors

/// The routes of collections.
extension OpenAPI.Document {
    private typealias Schema = OpenAPI.Schema

    var listCollections: OpenAPI.Operation {
        let broken = Schema.object(["object": .fixed("error"), "name": .string(), "error": .named(.failure)], "One that cannot be opened")
        return OpenAPI.Operation(
            id: "listCollections", tag: .collections, summary: "All collections by name", parameters: [.deadline],
            answers: [
                .init(
                    about: "The collections",
                    schema: .object(["object": .fixed("list"), "data": .list(of: .any(of: [.named(.collection), broken]))]))
            ],
            errors: Self.storeErrors + [.invalidValue])
    }

    var createCollection: OpenAPI.Operation {
        OpenAPI.Operation(
            id: "createCollection", tag: .collections, summary: "Make a collection", parameters: [.deadline],
            body: .init(
                schema: .collectionRequest,
                examples: [
                    "ofTheServersModel": ["name": "notes"],
                    "chosen": ["name": "short-notes", "model": "all-MiniLM-L6-v2", "dimensions": 128, "metric": "dot", "storage": "int8"],
                    "ofVectors": ["name": "points", "model": .null, "dimensions": 3, "metric": "l2"],
                ]),
            answers: [.init(status: 201, about: "It is made", schema: .named(.collection))],
            errors: Self.storeErrors + Self.bodyErrors + [
                .collectionExists, .modelNotFound, .modelLoading, .modelUnloaded, .modelFailed, .unsupportedTask,
            ])
    }

    var describeCollection: OpenAPI.Operation {
        OpenAPI.Operation(
            id: "getCollection", tag: .collections, summary: "One collection", parameters: [Self.name, .deadline],
            answers: [.init(about: "The collection", schema: .named(.collection))], errors: Self.collectionErrors)
    }

    var dropCollection: OpenAPI.Operation {
        OpenAPI.Operation(
            id: "deleteCollection", tag: .collections, summary: "Delete a collection with all that is in it", parameters: [Self.name, .deadline],
            answers: [
                .init(
                    about: "It is gone", schema: .object(["object": .fixed("collection"), "name": .string(), "deleted": .flag()]))
            ],
            errors: Self.collectionErrors)
    }

    var writeDocuments: OpenAPI.Operation {
        let written = Schema.object(
            [
                "object": .fixed("write"), "collection": .string(), "added": Self.count, "replaced": Self.count,
                "ids": .list(of: .string(), "One for each document, in their order"), "model": Self.usedModel, "usage": .named(.usage),
                "provenance": Self.accounts,
            ], required: ["object", "collection", "added", "replaced", "ids", "model", "usage"])
        return OpenAPI.Operation(
            id: "writeDocuments", tag: .collections, summary: "Store documents, all or none", parameters: [Self.name] + OpenAPI.Parameter.ofModels,
            body: .init(
                schema: .documentsRequest,
                examples: [
                    "texts": [
                        "documents": [
                            ["id": "swifts", "text": "Swifts sleep on the wing.", "metadata": ["year": 2024, "tags": ["birds"]]],
                            ["text": "Interest rates rose."],
                        ]
                    ],
                    "whatIsNew": ["mode": "add", "documents": [["id": "gulls", "text": "Gulls sleep on the water."]]],
                ]),
            answers: [.init(about: "They are stored for good", schema: written)], errors: Self.modelErrors + Self.collectionErrors + [.documentExists, .modelMismatch])
    }

    var listDocuments: OpenAPI.Operation {
        let limits = DocumentListing.limits
        return OpenAPI.Operation(
            id: "listDocuments", tag: .collections, summary: "Documents in the order of their ids' bytes",
            parameters: [
                Self.name,
                .init(
                    name: "limit", place: .query, about: "The most documents in the answer, which may have fewer",
                    schema: .integer(from: limits.lowerBound, to: limits.upperBound, initial: 100)),
                .init(name: "after", place: .query, about: "Only ids behind this one: next of the page before", schema: .string()),
                .init(name: "filter", place: .query, about: "A filter, as JSON", schema: .string(), example: "{\"year\": 2024}"), Self.include, .deadline,
            ],
            answers: [
                .init(
                    about: "A page",
                    schema: .object([
                        "object": .fixed("list"), "data": .list(of: .named(.document)), "next": Schema.string("For after; null on the last page").orNull,
                    ]))
            ],
            errors: Self.collectionErrors + [.invalidFilter])
    }

    var getDocument: OpenAPI.Operation {
        OpenAPI.Operation(
            id: "getDocument", tag: .collections, summary: "One document", parameters: [Self.name, Self.documentID, Self.include, .deadline],
            answers: [.init(about: "The document", schema: .named(.document))], errors: Self.collectionErrors + [.documentNotFound])
    }

    var deleteDocument: OpenAPI.Operation {
        OpenAPI.Operation(
            id: "deleteDocument", tag: .collections, summary: "Delete one document", parameters: [Self.name, Self.documentID, .deadline],
            answers: [.init(about: "It is gone", schema: Self.deletion)], errors: Self.collectionErrors + [.documentNotFound, .overloaded])
    }

    var deleteDocuments: OpenAPI.Operation {
        OpenAPI.Operation(
            id: "deleteDocuments", tag: .collections, summary: "Delete documents by their ids or their metadata", parameters: [Self.name, .deadline],
            body: .init(
                schema: .deleteRequest, examples: ["byID": ["ids": ["swifts", "gulls"]], "byMetadata": ["filter": ["year": ["$lt": 2020]]]]),
            answers: [.init(about: "They are gone", schema: Self.deletion)],
            errors: Self.collectionErrors + Self.bodyErrors + [.emptyInput, .arrayTooLong, .invalidFilter, .overloaded])
    }

    var searchCollection: OpenAPI.Operation {
        OpenAPI.Operation(
            id: "search", tag: .collections, summary: "The documents nearest to texts or vectors",
            parameters: [Self.name] + OpenAPI.Parameter.ofModels,
            body: .init(
                schema: .searchRequest,
                examples: [
                    "text": ["query": "How do birds sleep?"],
                    "filtered": [
                        "query": ["How do birds sleep?", "What did the bank say?"], "k": 3, "include": ["text"],
                        "filter": ["$or": [["year": ["$gte": 2020]], ["tags": ["$contains": "birds"]], ["year": ["$exists": false]]]],
                    ],
                ]),
            answers: [.init(about: "For each query its hits, the best first", schema: .named(.hits))],
            errors: Self.modelErrors + Self.collectionErrors + [.invalidFilter, .modelMismatch])
    }

    var compactCollection: OpenAPI.Operation {
        OpenAPI.Operation(
            id: "compactCollection", tag: .collections, summary: "Free what deleted and replaced documents take", parameters: [Self.name, .deadline],
            answers: [
                .init(
                    about: "It is done",
                    schema: .object([
                        "object": .fixed("compaction"), "collection": .string(), "removed": Self.count, "bytes_before": Self.count,
                        "bytes_after": Self.count,
                    ]))
            ],
            errors: Self.collectionErrors + [.overloaded])
    }

    private static let count = Schema.integer(from: 0)
    private static let usedModel = Schema.string("The model that made vectors of texts; null where none did").orNull
    private static let storeErrors: [ApusError.Code] = [.storeUnavailable, .storeCorrupt, .notFound, .deadlineExceeded]
    private static let collectionErrors: [ApusError.Code] = storeErrors + [.collectionNotFound, .invalidValue]
    private static let deletion = Schema.object([
        "object": .fixed("deletion"), "collection": .string(), "deleted": .integer("Documents that there were", from: 0),
    ])
    private static let pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]*$"
    private static let name = OpenAPI.Parameter(
        name: "name", place: .path, about: "A collection's name", schema: .string(length: 1...CollectionName.maxLength, pattern: pattern),
        example: "notes")
    /// Without control characters; the length is in bytes.
    private static let id = Schema.string(length: 1...Document.maxIDBytes, pattern: "^[^\\u0000-\\u001F\\u007F-\\u009F]+$")
    private static let documentID = OpenAPI.Parameter(name: "id", place: .path, about: "A document's id", schema: id, example: "swifts")
    private static let include = OpenAPI.Parameter(
        name: "include", place: .query, about: "What is wanted beside ids, parted by commas: text, metadata, vector",
        schema: .string(pattern: "^(text|metadata|vector)?(,(text|metadata|vector))*$"), example: "text,metadata")

    var collectionRequest: OpenAPI.Schema {
        .object(
            [
                "name": .string(length: 1...CollectionName.maxLength, pattern: Self.pattern),
                "model": Schema.string("Makes the vectors of texts; the server's first one where none is named, null for vectors from elsewhere")
                    .orNull,
                "dimensions": .integer("Of the vectors; as many as the model gives, or fewer", from: 1, to: VectorRows.maxDimensions),
                "metric": .choice(VectorMetric.allCases.map(\.rawValue), initial: VectorMetric.cosine.rawValue),
                "storage": .choice(VectorStorage.allCases.map(\.rawValue), "How vectors are scanned", initial: VectorStorage.fp32.rawValue),
            ], required: ["name"])
    }

    var collection: OpenAPI.Schema {
        .object([
            "object": .fixed("collection"), "name": .string(), "created": .integer("Seconds since 1970", from: 0),
            "dimensions": .integer(from: 1, to: VectorRows.maxDimensions), "metric": .choice(VectorMetric.allCases.map(\.rawValue)),
            "storage": .choice(VectorStorage.allCases.map(\.rawValue)), "model": Schema.string().orNull,
            "weights_sha256": Schema.string("Of the model that makes its vectors").orNull, "documents": Self.count,
            "deleted": .integer("Deleted and replaced documents whose room compaction would free", from: 0),
            "bytes": .integer("On the disk", from: 0),
            "backend": .choice(CollectionBackend.allCases.map(\.rawValue), "Where its vectors lie and what searches them, always exactly"),
        ])
    }

    private var vector: OpenAPI.Schema { .list(of: .number(), "Of the collection's dimensions", from: 1, to: VectorRows.maxDimensions) }

    private var parts: OpenAPI.Schema {
        .list(of: .choice(["text", "metadata", "vector"]), "What hits carry beside id and score; text and metadata where nothing is said")
    }

    var documentsRequest: OpenAPI.Schema {
        let document = Schema.object(
            [
                "id": .both(Self.id, .remark("Made from what the document holds where there is none")),
                "text": .string("At most 1 MiB of UTF-8", length: 1...Document.maxTextBytes), "metadata": .named(.metadata), "vector": vector,
            ], required: [], "A text, a vector or both: with a vector the text is kept and not embedded")
        return .object(
            [
                "documents": .list(of: document, from: 1, to: maxInputs),
                "mode": .choice(WriteMode.allCases.map(\.rawValue), "What is done about ids that exist", initial: WriteMode.upsert.rawValue),
                "truncate": .flag("Whether what is too long for the model is cut, and not refused", initial: true), "provenance": Self.told,
            ], required: ["documents"])
    }

    var document: OpenAPI.Schema {
        .object(
            ["object": .fixed("document"), "id": .string(), "text": .string(), "metadata": .named(.metadata), "vector": vector],
            required: ["object", "id"])
    }

    var deleteRequest: OpenAPI.Schema {
        .any(of: [
            .object(["ids": .list(of: Self.id, from: 1, to: maxInputs)]),
            .object(["filter": .named(.filter)], "An empty filter means every document"),
        ])
    }

    var searchRequest: OpenAPI.Schema {
        let text = Schema.string(length: 1...1_048_576)
        let rest = Schema.object(
            [
                "k": .integer("Hits for each query", from: 1, to: collections.maxK, initial: 10), "filter": .named(.filter), "include": parts,
                "truncate": .flag(initial: true), "provenance": Self.told,
            ], required: [])
        let texts = Schema.object(["query": .any(of: [text, .list(of: text, from: 1, to: collections.maxQueries)])])
        let vectors = Schema.object(["vector": .any(of: [vector, .list(of: vector, from: 1, to: collections.maxQueries)])])
        return .both(.any(of: [texts, vectors]), rest)
    }

    var hits: OpenAPI.Schema {
        let hit = Schema.both(.named(.document), .object(["score": .number("Higher is nearer; for l2 minus the squared distance")]))
        let result = Schema.object(["object": .fixed("search_result"), "index": Self.count, "hits": .list(of: hit)])
        return .object(
            [
                "object": .fixed("list"), "collection": .string(), "data": .list(of: result, from: 1), "model": Self.usedModel,
                "usage": .named(.usage), "provenance": Self.accounts,
            ], required: ["object", "collection", "data", "model", "usage"])
    }
}
