import ApusJSON

/// An answer as it came over the wire.
struct RawResponse: Sendable {
    let status: Int
    /// Names in lower case.
    let headers: [(name: String, value: String)]
    var body: [UInt8] = []

    init(head: [UInt8]) throws {
        let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n")
        guard let first = lines.first, let status = first.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
            throw RawConnection.Failure(description: "no status line in \(lines)")
        }
        self.status = status
        headers = lines.dropFirst().map { line in
            let name = line.prefix { $0 != ":" }
            return (name.lowercased(), String(line.dropFirst(name.count + 1).drop { $0 == " " }))
        }
    }

    subscript(name: String) -> String? {
        headers.first { $0.name == name }?.value
    }

    var contentLength: Int { self["content-length"].flatMap { Int($0) } ?? 0 }

    var text: String { String(decoding: body, as: UTF8.self) }

    var json: JSONObject {
        get throws { try JSONValue(parsing: body).objectValue(at: "body") }
    }

    /// The error of the body: message, type, param and code.
    var error: (message: String, type: String, param: String?, code: String) {
        get throws {
            let reader = try JSONReader(try json).reader("error")
            return (
                try reader.string("message"), try reader.string("type"), try reader.optionalString("param"), try reader.string("code")
            )
        }
    }
}
