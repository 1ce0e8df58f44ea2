import ApusErrors
import ApusJSON
import ApusService

/// The body of `POST /v1/embeddings`, as OpenAI defines it and with Apus' own fields. Unknown fields are ignored; a known one of the
/// wrong type, `null` included, is an error that names it.
struct EmbeddingsBody {
    enum Encoding: String {
        case float, base64
    }

    let model: String
    let inputs: [EmbeddingInput]
    let encoding: Encoding
    let dimensions: Int?
    let truncation: EmbeddingOptions.Truncation
    let provenance: Bool

    /// The most JSON values in a body: the memory of a parsed body stays within some 100 MB.
    static let jsonLimits = JSONLimits(values: 1 << 22)

    /// - Parameter maxInputs: longer lists are refused before their elements are looked at.
    /// - Throws: `.invalidJSON`, `.invalidValue`, `.emptyInput`, `.arrayTooLong`.
    init(parsing bytes: UnsafeRawBufferPointer, maxInputs: Int) throws(ApusError) {
        let document = try JSONValue(parsing: bytes, limits: Self.jsonLimits)
        guard case .object(let object) = document else {
            throw ApusError(.invalidValue, "the body must be a JSON object, not \(document.kind)")
        }
        guard let model = object["model"] else {
            throw ApusError(.invalidValue, "a required value is missing", place: "model")
        }
        guard let input = object["input"] else {
            throw ApusError(.invalidValue, "a required value is missing", place: "input")
        }
        self.model = try model.stringValue(at: "model")
        encoding = try Self.encoding(object["encoding_format"])
        dimensions = try Self.dimensions(object["dimensions"])
        truncation = try Self.flag("truncate", object, ifAbsent: true) ? .right : .refuse
        provenance = try Self.flag("provenance", object, ifAbsent: false)
        if let user = object["user"] { _ = try user.stringValue(at: "user") }
        inputs = try Self.inputs(input, maxInputs: maxInputs)
    }

    private static func encoding(_ value: JSONValue?) throws(ApusError) -> Encoding {
        guard let value else { return .float }
        guard let encoding = Encoding(rawValue: try value.stringValue(at: "encoding_format")) else {
            throw ApusError(.invalidValue, "must be float or base64", place: "encoding_format")
        }
        return encoding
    }

    private static func dimensions(_ value: JSONValue?) throws(ApusError) -> Int? {
        guard let value else { return nil }
        let dimensions = try value.integerValue(at: "dimensions")
        guard dimensions >= 1 else {
            throw ApusError(.invalidValue, "must be at least 1", place: "dimensions")
        }
        return dimensions
    }

    private static func flag(_ key: String, _ object: JSONObject, ifAbsent: Bool) throws(ApusError) -> Bool {
        try object[key]?.boolValue(at: key) ?? ifAbsent
    }

    private static func inputs(_ value: JSONValue, maxInputs: Int) throws(ApusError) -> [EmbeddingInput] {
        switch value {
        case .string(let text):
            return [.text(text)]
        case .array(let elements):
            guard let first = elements.first else {
                throw ApusError(.emptyInput, "there is nothing to embed", place: "input")
            }
            if case .integer = first { return [.tokens(try tokens(elements))] }
            if case .number = first { return [.tokens(try tokens(elements))] }
            guard elements.count <= maxInputs else {
                throw ApusError(
                    .arrayTooLong, "\(elements.count) inputs are more than the \(maxInputs) that one request may hold",
                    place: "input", advice: "Send them in several requests"
                )
            }
            var inputs: [EmbeddingInput] = []
            inputs.reserveCapacity(elements.count)
            for element in elements {
                switch (first, element) {
                case (.string, .string(let text)): inputs.append(.text(text))
                case (.array, .array(let ids)): inputs.append(.tokens(try tokens(ids)))
                default: throw wrongInput
                }
            }
            return inputs
        default:
            throw wrongInput
        }
    }

    private static func tokens(_ elements: [JSONValue]) throws(ApusError) -> [Int32] {
        var ids: [Int32] = []
        ids.reserveCapacity(elements.count)
        for element in elements {
            switch element {
            case .integer(let value):
                guard let id = Int32(exactly: value) else { throw beyondAnyVocabulary(value.description) }
                ids.append(id)
            case .number(let value):
                guard value == value.rounded() else {
                    throw ApusError(.invalidValue, "token ids must be whole numbers, not \(value)", place: "input")
                }
                guard let id = Int32(exactly: value) else { throw beyondAnyVocabulary(value.description) }
                ids.append(id)
            default:
                throw wrongInput
            }
        }
        return ids
    }

    private static func beyondAnyVocabulary(_ id: String) -> ApusError {
        ApusError(.invalidToken, "the token id \(id) is outside every vocabulary", place: "input")
    }

    private static var wrongInput: ApusError {
        ApusError(
            .invalidValue,
            "must be a string, a list of strings, a list of token ids or a list of lists of token ids, and not a mixture",
            place: "input"
        )
    }
}
