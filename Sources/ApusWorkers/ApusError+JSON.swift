package import ApusErrors
package import ApusJSON

extension ApusError {
    /// Longer texts are cut, so that every error fits a frame: an engine's message may hold a whole graph.
    private static let longestText = 16_384

    package func write(to json: inout JSONWriter) {
        json.beginObject()
        json.member("code", code.rawValue)
        json.member("message", Self.cut(message))
        if let place { json.member("place", Self.cut(place)) }
        if let advice { json.member("advice", Self.cut(advice)) }
        if let cause { json.member("cause", Self.cut("\(cause)")) }
        json.endObject()
    }

    package init(reading json: JSONReader) throws(ApusError) {
        self.init(
            Code(rawValue: try json.string("code")), try json.string("message"), place: try json.optionalString("place"),
            advice: try json.optionalString("advice"), cause: try json.optionalString("cause").map(RemoteCause.init))
    }

    private static func cut(_ text: String) -> String {
        text.utf8.count <= longestText ? text : String(decoding: text.utf8.prefix(longestText), as: UTF8.self)
    }
}

/// An error of another process, of which only the words have crossed.
package struct RemoteCause: Error, CustomStringConvertible {
    package let description: String
}
