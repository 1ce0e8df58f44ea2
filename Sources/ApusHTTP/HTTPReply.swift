import ApusErrors
import ApusJSON
import ApusService
import NIOHTTP1

/// An answer, whole, without the headers that belong to the connection.
struct HTTPReply: Sendable {
    var status: Int
    var headers: [(String, String)]
    var body: [UInt8]

    static func json(status: Int = 200, headers: [(String, String)] = [], _ body: [UInt8]) -> HTTPReply {
        HTTPReply(status: status, headers: headers + [("content-type", "application/json")], body: body)
    }

    /// OpenAI's error body, with the headers its code calls for.
    init(_ error: ApusError, headers: [(String, String)] = []) {
        let row = StatusTable.row(for: error.code)
        var writer = JSONWriter(capacity: 256)
        writer.beginObject()
        writer.key("error")
        writer.beginObject()
        writer.member("message", Self.message(of: error, row))
        writer.member("type", row.status < 500 ? "invalid_request_error" : "server_error")
        writer.key("param")
        if row.namesParam, let place = error.place { writer.string(place) } else { writer.null() }
        writer.member("code", error.code.rawValue)
        writer.endObject()
        writer.endObject()
        self = .json(status: row.status, headers: headers, writer.bytes)
        if row.status == 503 || error.cause is RetryHint {
            let seconds = (error.cause as? RetryHint)?.seconds ?? 1
            self.headers.append(("retry-after", String(seconds)))
        }
    }

    private init(status: Int, headers: [(String, String)], body: [UInt8]) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    static func plain(_ body: [UInt8], contentType: String) -> HTTPReply {
        HTTPReply(status: 200, headers: [("content-type", contentType)], body: body)
    }

    /// Causes stay inside: they may name files or libraries of this machine.
    private static func message(of error: ApusError, _ row: StatusTable.Row) -> String {
        var text = ""
        if let place = error.place { text += "\(place): " }
        text += error.message
        if let advice = error.advice { text += ". \(advice)" }
        return text
    }
}
