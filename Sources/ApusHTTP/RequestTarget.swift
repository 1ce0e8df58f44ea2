import ApusErrors

/// The path of a request target, split at its slashes and percent-decoded (RFC 3986 section 2.1), and its query.
struct RequestTarget {
    /// Decoded; a decoded slash is part of its segment.
    let segments: [String]
    /// What follows the question mark, as it is: most routes do not look at it.
    private let rawQuery: String

    /// - Parameter target: origin form (`/a/b?c`) or absolute form (`http://host/a/b`).
    /// - Throws: `.invalidRequest` for another form, a bad escape, an encoded NUL, or bytes that decode to no UTF-8.
    init(_ target: String) throws(ApusError) {
        var path = target.utf8[...]
        if path.first != UInt8(ascii: "/") {
            guard let authority = Self.afterScheme(path) else {
                throw ApusError(.invalidRequest, "the request target must begin with a slash")
            }
            path = authority.drop { $0 != UInt8(ascii: "/") }
        }
        path = path.prefix { $0 != UInt8(ascii: "#") }
        let query = path.drop { $0 != UInt8(ascii: "?") }
        rawQuery = String(decoding: query.dropFirst(), as: UTF8.self)
        path = path.prefix(path.count - query.count)
        var segments: [String] = []
        for raw in path.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            segments.append(try Self.decoded(raw))
        }
        self.segments = segments
    }

    private static func afterScheme(_ target: Substring.UTF8View) -> Substring.UTF8View? {
        for scheme in ["http://", "https://"] where target.starts(with: scheme.utf8) {
            return target.dropFirst(scheme.utf8.count)
        }
        return nil
    }

    /// - Throws: as ``QueryParameters/init(_:)`` does.
    func query() throws(ApusError) -> QueryParameters { try QueryParameters(rawQuery) }

    /// - Throws: `.invalidRequest`.
    static func decoded(_ raw: Substring.UTF8View) throws(ApusError) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(raw.count)
        var rest = raw
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexDigit), let low = rest.popFirst().flatMap(hexDigit) else {
                throw ApusError(.invalidRequest, "the request target holds a % that no two hexadecimal digits follow")
            }
            let value = high << 4 | low
            guard value != 0 else {
                throw ApusError(.invalidRequest, "the request target holds an encoded NUL")
            }
            bytes.append(value)
        }
        guard let text = String(validating: bytes, as: UTF8.self), !text.unicodeScalars.contains("\u{FFFD}") else {
            throw ApusError(.invalidRequest, "the request target is not UTF-8")
        }
        return text
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
