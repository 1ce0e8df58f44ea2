package import ApusErrors
package import ApusJSON

extension Frame {
    /// A frame whose payload is a JSON document.
    package init(_ kind: Kind, sequence: UInt64, json write: (inout JSONWriter) -> Void) {
        var json = JSONWriter()
        write(&json)
        self.init(kind, sequence: sequence, payload: json.bytes)
    }

    /// The payload as a JSON object. Throws `invalid_json` and `invalid_value` when it is none that `read` takes.
    package func document<Value>(_ read: (JSONReader) throws(ApusError) -> Value) throws(ApusError) -> Value {
        try read(try JSONReader(try JSONValue(parsing: payload, limits: JSONLimits(depth: 16, values: 1 << 18)), place: "\(kind)."))
    }

    /// The payload as a JSON object. Throws `malformed` when it is none that `read` takes.
    func json<Value>(_ read: (JSONReader) throws(ApusError) -> Value) throws(FrameFault) -> Value {
        do throws(ApusError) {
            return try document(read)
        } catch {
            throw .malformed("\(kind): \(error)")
        }
    }
}
