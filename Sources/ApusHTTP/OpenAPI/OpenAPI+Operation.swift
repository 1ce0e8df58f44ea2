import ApusErrors
import ApusJSON
import ApusService

extension OpenAPI {
    /// What one method does at one path.
    struct Operation: Sendable {
        enum Tag: String, CaseIterable {
            case inference, models, collections, devices, health

            var about: String {
                switch self {
                case .inference: "Asking models"
                case .models: "Which models there are, and which of them serve"
                case .collections: "Documents that are found by meaning"
                case .devices: "What models run on, and what an operator may ask of it"
                case .health: "Whether it works, in figures and in words"
                }
            }
        }

        /// Unique among all; clients that are made from the document name their functions by it.
        let id: String
        let tag: Tag
        let summary: String
        var parameters: [Parameter] = []
        var body: Body?
        var answers: [Answer]
        /// Those that only this operation and its like give; the document adds those that every operation may give.
        var errors: [ApusError.Code] = []
    }

    struct Parameter: Sendable {
        enum Place: String {
            case path, query, header
        }

        let name: String
        let place: Place
        let about: String
        let schema: Schema
        var example: JSONValue?

        var json: JSONValue {
            var members: [(String, JSONValue)] = [
                ("name", .string(name)), ("in", .string(place.rawValue)), ("description", .string(about)), ("required", .bool(place == .path)),
                ("schema", schema.json),
            ]
            if let example { members.append(("example", example)) }
            return .object(members)
        }
    }

    struct Body: Sendable {
        let schema: Name
        /// By their names; each is a request that is right.
        let examples: KeyValuePairs<String, JSONValue>

        var json: JSONValue {
            let examples = JSONValue.object(examples.map { ($0.key, .object([("value", $0.value)])) })
            return ["required": true, "content": ["application/json": ["schema": Schema.named(schema).json, "examples": examples]]]
        }
    }

    /// An answer that is no error.
    struct Answer: Sendable {
        var status = 200
        let about: String
        let schema: Schema
        var mediaType = "application/json"
        /// Whether a model ran, of which the headers tell.
        var provenance = false

        var json: JSONValue {
            var members: [(String, JSONValue)] = [
                ("description", .string(about)), ("content", .object([(mediaType, .object([("schema", schema.json)]))])),
            ]
            if provenance {
                let names = ProvenanceHeader.allCases
                members.append(("headers", .object(names.map { ($0.rawValue, .reference("headers", $0.rawValue)) })))
            }
            return .object(members)
        }
    }

    /// The headers of an answer that a model gave.
    enum ProvenanceHeader: String, CaseIterable {
        case device = "x-apus-device"
        case precision = "x-apus-precision"
        case fallback = "x-apus-fallback"
        case batch = "x-apus-batch"
        case cache = "x-apus-cache"
        case truncated = "x-apus-truncated"

        var json: JSONValue {
            let (about, schema): (String, Schema) =
                switch self {
                case .device: ("The devices that computed it, comma-separated", .string())
                case .precision: ("The arithmetic it was computed in", .string())
                case .fallback:
                    ("Whether what was meant to compute it did", .choice(EmbeddingProvenance.Fallback.allCases.map(\.rawValue)))
                case .batch: ("Rows of the largest batch", .integer(from: 0))
                case .cache: ("Inputs that were remembered and that were computed", .string(pattern: "^hit=[0-9]+, miss=[0-9]+$"))
                case .truncated: ("Inputs that were cut", .integer(from: 0))
                }
            return ["description": .string(about), "schema": schema.json]
        }
    }
}
