import ApusErrors

/// The query of a request target: `name=value` parted by `&`, percent-encoded, a plus for a space (the URL standard's
/// `application/x-www-form-urlencoded`). Parameters that nobody asks for are not looked at.
struct QueryParameters {
    private let parameters: [(name: String, value: String)]

    /// - Throws: `.invalidRequest` for a bad escape, an encoded NUL, or bytes that decode to no UTF-8.
    init(_ query: String) throws(ApusError) {
        var parameters: [(name: String, value: String)] = []
        for pair in query.utf8.split(separator: UInt8(ascii: "&")) {
            let name = pair.prefix { $0 != UInt8(ascii: "=") }
            parameters.append((try Self.decoded(name), try Self.decoded(pair.dropFirst(name.count + 1))))
        }
        self.parameters = parameters
    }

    private static func decoded(_ raw: Substring.UTF8View) throws(ApusError) -> String {
        let spaced = String(decoding: raw.map { $0 == UInt8(ascii: "+") ? UInt8(ascii: " ") : $0 }, as: UTF8.self)
        return try RequestTarget.decoded(spaced.utf8[...])
    }

    /// - Throws: `.invalidValue` when it is given more than once.
    subscript(name: String) -> String? {
        get throws(ApusError) {
            let values = parameters.filter { $0.name.utf8.elementsEqual(name.utf8) }
            guard values.count < 2 else { throw ApusError(.invalidValue, "must be given once", place: name) }
            return values.first?.value
        }
    }

    /// - Throws: `.invalidValue` for what is no whole number of up to 18 digits.
    func integer(_ name: String) throws(ApusError) -> Int? {
        guard let text = try self[name] else { return nil }
        let digits = text.utf8.first == UInt8(ascii: "-") ? text.utf8.dropFirst() : text.utf8[...]
        guard (1...18).contains(digits.count), digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let value = Int(text)
        else { throw ApusError(.invalidValue, "must be a whole number", place: name) }
        return value
    }
}
