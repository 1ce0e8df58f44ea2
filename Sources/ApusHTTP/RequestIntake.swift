import ApusErrors
import NIOHTTP1

/// Decides, part by part, whether a request may go on arriving. Pure: no clock, no channel; the connection acts on what it says.
struct RequestIntake {
    enum Phase: Equatable {
        /// Between requests; `fresh` before the first byte of the connection.
        case waiting(fresh: Bool)
        /// Bytes of a header block have arrived, its end has not.
        case head
        /// The header block is complete, the body is not.
        case body
        /// A whole request is with the service.
        case answering
        /// A request was refused; whatever still arrives is thrown away.
        case refused
    }

    enum HeadDecision {
        /// Take the body, after telling the client to send it where it asked (`Expect: 100-continue`).
        case accept(sayContinue: Bool)
        case refuse(ApusError)
    }

    private(set) var phase = Phase.waiting(fresh: true)
    private let limits: HTTPConfiguration.Limits
    /// Of the body that is arriving, or arrived last.
    private(set) var bodyBytes = 0
    /// Bytes that came in since the body began, framing included.
    private var rawBodyBytes = 0
    /// Whether the line feed of the request line has been seen. Also true where the line began inside a chunk with the end of an earlier
    /// request, because its bytes cannot be told apart from here; an overlong target is then answered as an overlong header block.
    private var requestLineEnded = false

    init(limits: HTTPConfiguration.Limits) {
        self.limits = limits
    }

    /// Notes bytes before they are decoded.
    /// - Parameter hasLineEnd: says whether they hold the line feed that ends a line begun in them. Asked only where it matters.
    /// - Returns: an error when the framing of a body takes more room than any honest chunking.
    mutating func bytesArrived(_ count: Int, hasLineEnd: () -> Bool) -> ApusError? {
        switch phase {
        case .waiting:
            phase = .head
            requestLineEnded = hasLineEnd()
        case .head:
            if !requestLineEnded { requestLineEnded = hasLineEnd() }
        case .body:
            rawBodyBytes &+= count
            // One byte a chunk costs six; 64 KiB leave room for a trailer and what follows in the same packet.
            if rawBodyBytes / 6 > limits.bodyBytes &+ (64 << 10) { return bodyTooLarge }
        case .answering:
            requestLineEnded = true
        case .refused:
            break
        }
        return nil
    }

    mutating func headArrived(_ head: HTTPRequestHead) -> HeadDecision {
        phase = .body
        bodyBytes = 0
        rawBodyBytes = 0
        if let error = fault(in: head) { return .refuse(error) }
        let expectation = head.headers.first(name: "expect")?.lowercased()
        return .accept(sayContinue: expectation == "100-continue" && head.version == .http1_1)
    }

    /// - Returns: an error when the body is over its limit with these bytes.
    mutating func bodyArrived(_ count: Int) -> ApusError? {
        bodyBytes &+= count
        return bodyBytes > limits.bodyBytes ? bodyTooLarge : nil
    }

    mutating func requestCompleted() {
        phase = .answering
    }

    mutating func answered() {
        phase = .waiting(fresh: false)
    }

    mutating func refused() {
        phase = .refused
    }

    /// What to answer when the deadline of the present phase passes. Nil: the connection is closed without a word.
    var timeout: ApusError? {
        switch phase {
        case .waiting(fresh: true), .head:
            ApusError(.requestTimeout, "the header block was not complete in time")
        case .body:
            ApusError(.requestTimeout, "the body was not complete in time")
        case .waiting(fresh: false), .answering, .refused:
            nil
        }
    }

    /// The answer to bytes that the decoder gave up on.
    func refusal(of error: HTTPParserError) -> ApusError {
        switch error {
        case .headerOverflow:
            phase == .head && !requestLineEnded ? targetTooLong : headerTooLarge
        case .invalidEOFState, .closedConnection:
            ApusError(.invalidRequest, "the connection was closed in the middle of a request")
        case .invalidContentLength, .unexpectedContentLength:
            ApusError(.invalidRequest, "Content-Length must be one whole number, and not stand beside Transfer-Encoding")
        case .invalidChunkSize:
            ApusError(.invalidRequest, "the chunked body is malformed")
        case .invalidVersion:
            ApusError(.invalidRequest, "only HTTP/1.0 and HTTP/1.1 are spoken here")
        default:
            ApusError(.invalidRequest, "the request is not well-formed HTTP")
        }
    }

    /// What llhttp lets pass and RFC 9112 (sections 3.2, 6.1 and 6.3) or our limits do not.
    private func fault(in head: HTTPRequestHead) -> ApusError? {
        if head.uri.utf8.count > limits.targetBytes { return targetTooLong }
        let hosts = head.headers[canonicalForm: "host"].count
        if hosts > 1 || (hosts == 0 && head.version == .http1_1) {
            return ApusError(.invalidRequest, "a request must have exactly one Host header")
        }
        let lengths = head.headers["content-length"]
        let codings = head.headers["transfer-encoding"]
        if !codings.isEmpty {
            guard lengths.isEmpty, codings.count == 1, codings[0].lowercased() == "chunked", head.version == .http1_1 else {
                return ApusError(.invalidRequest, "the only Transfer-Encoding is chunked, and it excludes Content-Length")
            }
        }
        if let length = lengths.first {
            guard lengths.count == 1, !length.isEmpty,
                length.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
            else {
                return ApusError(.invalidRequest, "Content-Length must be one whole number")
            }
            // More digits than an Int holds is more than any limit.
            if Int(length).map({ $0 > limits.bodyBytes }) ?? true { return bodyTooLarge }
        }
        return nil
    }

    private var bodyTooLarge: ApusError {
        ApusError(.bodyTooLarge, "the body is larger than \(limits.bodyBytes) bytes")
    }

    private var targetTooLong: ApusError {
        ApusError(.targetTooLong, "the request target is longer than \(limits.targetBytes) bytes")
    }

    private var headerTooLarge: ApusError {
        ApusError(
            .headerTooLarge, "the header block is larger than \(limits.headerBytes) bytes or \(limits.headerFields) fields"
        )
    }
}
