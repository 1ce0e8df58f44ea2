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
        writer.error(error)
        writer.endObject()
        self = .json(status: row.status, headers: headers, writer.bytes)
        // RFC 6750 section 3.
        if row.status == 401 { self.headers.append(("www-authenticate", "Bearer")) }
        if row.status == 503 || row.status == 429 || error.cause is RetryHint {
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
}
