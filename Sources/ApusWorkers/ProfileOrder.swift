package import ApusErrors
package import ApusJSON

/// Steps that are to be profiled, and where the files go.
package struct ProfileOrder: Equatable, Sendable {
    package var steps: Int
    package var directory: String

    package init(steps: Int, directory: String) {
        self.steps = steps
        self.directory = directory
    }

    /// The payload of a `profile` frame.
    package func encoded() -> [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        json.member("steps", steps)
        json.member("directory", directory)
        json.endObject()
        return json.bytes
    }

    package init(reading json: JSONReader) throws(ApusError) {
        self.init(steps: try json.integer("steps"), directory: try json.string("directory"))
    }
}
