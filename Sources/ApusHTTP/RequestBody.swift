import ApusErrors
import ApusJSON
import ApusService
import NIOCore
import NIOHTTP1

/// The JSON object of a request to a model, and the members that all of them share. Unknown members are ignored; a known one of the wrong
/// type, `null` included, is an error that names it.
struct RequestBody {
    let object: JSONObject
    private let headers: RequestHeaders

    /// The most JSON values in a body: the memory of a parsed body stays within some 100 MB.
    static let limits = JSONLimits(values: 1 << 22)

    private init(_ object: JSONObject, _ headers: RequestHeaders) {
        self.object = object
        self.headers = headers
    }

    /// - Throws: `.invalidValue` for headers and for another document than an object, `.unsupportedMediaType`, `.invalidJSON`.
    init(_ request: HTTPRequest, arrival: ContinuousClock.Instant) throws(ApusError) {
        headers = try RequestHeaders(request.head.headers, arrival: arrival)
        if request.body.readableBytes > 0 { try request.head.headers.requireJSON() }
        let result: Result<JSONValue, ApusError> = request.body.withUnsafeReadableBytes { bytes in
            do throws(ApusError) {
                return .success(try JSONValue(parsing: bytes, limits: Self.limits))
            } catch {
                return .failure(error)
            }
        }
        let document = try result.get()
        guard case .object(let object) = document else {
            throw ApusError(.invalidValue, "the body must be a JSON object, not \(document.kind)")
        }
        self.object = object
    }

    func required(_ key: String) throws(ApusError) -> JSONValue {
        guard let value = object[key] else {
            throw ApusError(.invalidValue, "a required value is missing", place: key)
        }
        return value
    }

    func string(_ key: String) throws(ApusError) -> String { try required(key).stringValue(at: key) }

    func flag(_ key: String, ifAbsent: Bool = false) throws(ApusError) -> Bool {
        try object[key]?.boolValue(at: key) ?? ifAbsent
    }

    /// A count of 1 or more.
    func count(_ key: String) throws(ApusError) -> Int? {
        guard let count = try object[key]?.integerValue(at: key) else { return nil }
        guard count >= 1 else { throw ApusError(.invalidValue, "must be at least 1", place: key) }
        return count
    }

    /// An object within the body, read by the same rules.
    func part(_ object: JSONObject) -> RequestBody { RequestBody(object, headers) }

    func wantsProvenance() throws(ApusError) -> Bool { try flag("provenance") || headers.provenance }

    func options() throws(ApusError) -> EmbeddingOptions {
        EmbeddingOptions(
            truncation: try flag("truncate", ifAbsent: true) ? .right : .refuse, deadline: headers.deadline, priority: headers.priority,
            partial: try flag("partial"))
    }

    func numbers() throws(ApusError) -> AnsweredNumbers { try flag("raw_scores") ? .logits : .scores }

    /// A list of texts, each a string or an object with the member `text`.
    /// - Parameter maxInputs: longer lists are refused before their elements are looked at.
    func texts(_ key: String, maxInputs: Int) throws(ApusError) -> [String] {
        let elements = try required(key).arrayValue(at: key)
        try Self.check(elements.count, maxInputs, key)
        var texts: [String] = []
        texts.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            switch element {
            case .string(let text): texts.append(text)
            case .object(let object):
                guard case .string(let text)? = object["text"] else { throw Self.wrong("\(key)[\(index)]") }
                texts.append(text)
            default: throw Self.wrong("\(key)[\(index)]")
            }
        }
        return texts
    }

    static func check(_ count: Int, _ maxInputs: Int, _ key: String) throws(ApusError) {
        guard count <= maxInputs else {
            throw ApusError(
                .arrayTooLong, "\(count) inputs are more than the \(maxInputs) that one request may hold", place: key,
                advice: "Send them in several requests")
        }
    }

    private static func wrong(_ place: String) -> ApusError {
        ApusError(.invalidValue, "must be a string or an object with a string \"text\"", place: place)
    }
}
