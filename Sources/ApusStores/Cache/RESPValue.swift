/// What a Redis server answers (RESP2, https://redis.io/docs/latest/develop/reference/protocol-spec/, and the null of RESP3).
enum RESPValue: Sendable, Equatable {
    case simple(String)
    /// The server's refusal, `ERR …`.
    case error(String)
    case integer(Int64)
    case bulk([UInt8])
    case null
    case array([RESPValue])
}

/// What came was not RESP, or more of it than is ever asked for.
struct RESPFault: Error, Equatable {
    let text: String

    init(_ text: String) { self.text = text }
}
