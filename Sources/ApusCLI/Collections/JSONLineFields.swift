import ApusErrors
import ApusJSON
import ApusStores

/// Which members of the objects of a JSON Lines file are text, id and metadata.
struct JSONLineFields: Sendable {
    let text: String
    let id: String
    /// Members to keep; empty for those of the object `metadata`.
    let metadata: [String]

    /// Reads line `number` of `file`. Throws `invalid_json` and `invalid_value` with file and line.
    func read(_ bytes: [UInt8], _ file: String, line number: Int) throws(ApusError) -> IndexedText {
        let place = "\(file):\(number)"
        let object: JSONObject
        do throws(ApusError) {
            object = try JSONValue(parsing: bytes).objectValue(at: "the line")
        } catch {
            throw ApusError(error.code, "the line is no JSON object: \(error.message)", place: place)
        }
        guard let value = object[text] else {
            throw ApusError(
                .invalidValue, "the object has no member '\(text)'", place: place, advice: "Name the member with the text: --text-field")
        }
        let text = try value.stringValue(at: "\(place) \(text)")
        return IndexedText(
            id: try id(object, place) ?? place, text: text, metadata: try metadata(object, place))
    }

    private func id(_ object: JSONObject, _ place: String) throws(ApusError) -> String? {
        let id: String
        switch object[self.id] {
        case .string(let text): id = text
        case .integer(let number): id = String(number)
        case nil, .null?: return nil
        case let other?: throw ApusError(.invalidValue, "an id is a string or a whole number, not \(other.kind)", place: "\(place) \(self.id)")
        }
        try DocumentBatch.checkID(id, place: "\(place) \(self.id)")
        return id
    }

    private func metadata(_ object: JSONObject, _ place: String) throws(ApusError) -> Metadata {
        guard metadata.isEmpty else {
            var kept = JSONObject()
            for name in metadata {
                if let value = object[name] { _ = kept.append(name, value) }
            }
            return try Metadata(kept, place: place)
        }
        guard case .object(let inner) = object["metadata"] else { return .empty }
        return try Metadata(inner, place: "\(place) metadata")
    }
}
