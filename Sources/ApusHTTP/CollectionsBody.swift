import ApusErrors
import ApusJSON
import ApusService
import ApusStores
import ApusVectors

/// The bodies of requests to collections.
struct CollectionsBody {
    private let body: RequestBody

    init(_ body: RequestBody) {
        self.body = body
    }

    func create() throws(ApusError) -> CreateCollectionRequest {
        let model: CreateCollectionRequest.Model
        switch body.object["model"] {
        case nil: model = .any
        case .null: model = .none
        case .some(let name): model = .named(try name.stringValue(at: "model"))
        }
        return CreateCollectionRequest(
            name: try CollectionName(try body.string("name"), place: "name"), model: model, dimensions: try body.count("dimensions"),
            metric: try choice("metric", ifAbsent: .cosine), storage: try choice("storage", ifAbsent: .fp32))
    }

    /// - Parameter maxInputs: longer lists are refused before their elements are looked at.
    func write(into name: CollectionName, maxInputs: Int) throws(ApusError) -> WriteDocumentsRequest {
        let elements = try body.required("documents").arrayValue(at: "documents")
        try RequestBody.check(elements.count, maxInputs, "documents")
        var items: [WriteDocumentsRequest.Item] = []
        items.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() { items.append(try Self.item(element, at: "documents[\(index)]")) }
        return WriteDocumentsRequest(
            collection: name, items: items, mode: try choice("mode", ifAbsent: .upsert), options: try body.options())
    }

    private static func item(_ value: JSONValue, at place: String) throws(ApusError) -> WriteDocumentsRequest.Item {
        let object = try value.objectValue(at: place)
        var item = WriteDocumentsRequest.Item()
        item.id = try object["id"]?.stringValue(at: "\(place).id")
        item.text = try object["text"]?.stringValue(at: "\(place).text")
        if let metadata = object["metadata"] {
            item.metadata = try Metadata(try metadata.objectValue(at: "\(place).metadata"), place: "\(place).metadata")
        }
        if let vector = object["vector"] {
            item.vector = try Self.vector(try vector.arrayValue(at: "\(place).vector"), at: "\(place).vector")
        }
        return item
    }

    func selection(maxInputs: Int) throws(ApusError) -> DocumentSelection {
        switch (body.object["ids"], body.object["filter"]) {
        case (.some(let value), nil):
            let elements = try value.arrayValue(at: "ids")
            try RequestBody.check(elements.count, maxInputs, "ids")
            return .ids(try Self.strings(elements, at: "ids"))
        case (nil, .some(let filter)):
            return .filter(try MetadataFilter(filter))
        default:
            throw ApusError(.invalidValue, "one of ids and filter is wanted", place: "ids")
        }
    }

    func search(in name: CollectionName) throws(ApusError) -> SearchRequest {
        let queries: SearchRequest.Queries
        switch (body.object["query"], body.object["vector"]) {
        case (.some(.string(let text)), nil): queries = .texts([text])
        case (.some(let value), nil): queries = .texts(try Self.strings(try value.arrayValue(at: "query"), at: "query"))
        case (nil, .some(let value)): queries = .vectors(try Self.vectors(try value.arrayValue(at: "vector")))
        default: throw ApusError(.invalidValue, "one of query and vector is wanted", place: "query")
        }
        var request = SearchRequest(collection: name, queries: queries, options: try body.options())
        if let k = try body.object["k"]?.integerValue(at: "k") { request.k = k }
        if let filter = body.object["filter"] { request.filter = try MetadataFilter(filter) }
        if let include = body.object["include"] {
            request.parts = try Self.parts(try Self.strings(try include.arrayValue(at: "include"), at: "include"), place: "include")
        }
        return request
    }

    static func parts(_ names: [String], place: String) throws(ApusError) -> DocumentParts {
        var parts: DocumentParts = []
        for name in names {
            switch name {
            case "text": parts.insert(.text)
            case "metadata": parts.insert(.metadata)
            case "vector": parts.insert(.vector)
            default: throw ApusError(.invalidValue, "must be of text, metadata and vector", place: place)
            }
        }
        return parts
    }

    private func choice<Choice: RawRepresentable<String> & CaseIterable>(_ key: String, ifAbsent: Choice) throws(ApusError) -> Choice {
        guard let value = body.object[key] else { return ifAbsent }
        guard let choice = Choice(rawValue: try value.stringValue(at: key)) else {
            throw ApusError(.invalidValue, "must be \(Choice.allCases.map(\.rawValue).joined(separator: " or "))", place: key)
        }
        return choice
    }

    private static func strings(_ elements: [JSONValue], at place: String) throws(ApusError) -> [String] {
        var texts: [String] = []
        texts.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() { texts.append(try element.stringValue(at: "\(place)[\(index)]")) }
        return texts
    }

    /// One vector, or several.
    private static func vectors(_ elements: [JSONValue]) throws(ApusError) -> [[Float]] {
        switch elements.first {
        case nil: return []
        case .array:
            var vectors: [[Float]] = []
            for (index, element) in elements.enumerated() {
                vectors.append(try vector(try element.arrayValue(at: "vector[\(index)]"), at: "vector[\(index)]"))
            }
            return vectors
        default: return [try vector(elements, at: "vector")]
        }
    }

    private static func vector(_ elements: [JSONValue], at place: String) throws(ApusError) -> [Float] {
        guard elements.count <= VectorRows.maxDimensions else {
            throw ApusError(
                .invalidValue, "vectors have at most \(VectorRows.maxDimensions) dimensions, not \(elements.count)", place: place)
        }
        var vector: [Float] = []
        vector.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            let number = Float(try element.numberValue(at: "\(place)[\(index)]"))
            guard number.isFinite else {
                throw ApusError(.invalidValue, "must be a number that a 32-bit float can hold", place: "\(place)[\(index)]")
            }
            vector.append(number)
        }
        return vector
    }
}
