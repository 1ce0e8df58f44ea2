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
    /// Inputs with a token id that no vocabulary has, by their index; an empty list stands for them in ``inputs``.
    let faults: [Int: ApusError]
    let encoding: Encoding
    let dimensions: Int?
    let truncation: EmbeddingOptions.Truncation
    let provenance: Bool
    let partial: Bool

    /// - Parameter maxInputs: longer lists are refused before their elements are looked at.
    /// - Throws: `.invalidJSON`, `.invalidValue`, `.emptyInput`, `.arrayTooLong`.
    init(parsing bytes: UnsafeRawBufferPointer, maxInputs: Int) throws(ApusError) {
        let document = try JSONValue(parsing: bytes, limits: RequestBody.limits)
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
        partial = try Self.flag("partial", object, ifAbsent: false)
        if let user = object["user"] { _ = try user.stringValue(at: "user") }
        let parsed = try InputList(input, maxInputs: maxInputs)
        (inputs, faults) = (parsed.inputs, parsed.faults)
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
}
