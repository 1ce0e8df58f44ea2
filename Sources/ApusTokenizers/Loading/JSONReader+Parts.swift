internal import ApusErrors
internal import ApusJSON

/// What the parts of a `tokenizer.json` need besides plain values.
extension JSONReader {
    func failure(_ key: String, _ message: String) -> ApusError {
        ApusError(.invalidTokenizer, message, place: place(of: key))
    }

    /// The object at `key`.
    func part(_ key: String) throws(ApusError) -> JSONReader {
        try JSONReader(required(key), place: place(of: key) + ".", code: code)
    }

    /// The object at `key`, or nil when it is absent or null.
    func optionalPart(_ key: String) throws(ApusError) -> JSONReader? {
        guard let value = optional(key) else { return nil }
        return try JSONReader(value, place: place(of: key) + ".", code: code)
    }

    /// The objects of the array at `key`.
    func parts(_ key: String) throws(ApusError) -> [JSONReader] {
        var parts: [JSONReader] = []
        for (index, value) in try array(key).enumerated() {
            parts.append(try JSONReader(value, place: place(of: key) + "[\(index)].", code: code))
        }
        return parts
    }

    /// A string of one scalar.
    func scalar(_ key: String) throws(ApusError) -> UInt32 {
        let text = try string(key).unicodeScalars
        guard text.count == 1, let scalar = text.first else { throw failure(key, "one character is wanted") }
        return scalar.value
    }

    func bytes(_ key: String) throws(ApusError) -> [UInt8] {
        Array(try string(key).utf8)
    }

    /// A whole number of at least 0.
    func count(_ key: String) throws(ApusError) -> Int {
        let value = try integer(key)
        guard value >= 0 else { throw failure(key, "a number of at least 0 is wanted, not \(value)") }
        return value
    }

    /// The pair `["token", id]` at `key`.
    func tokenAndID(_ key: String) throws(ApusError) -> Int32 {
        let pair = try array(key)
        guard pair.count == 2, case .string = pair[0] else { throw failure(key, "a token and its id are wanted") }
        return try Self.tokenID(pair[1], place: place(of: key) + "[1]")
    }

    static func tokenID(_ value: JSONValue, place: String) throws(ApusError) -> Int32 {
        guard case .integer(let id) = value, id >= 0, id < Vocabulary.idLimit else {
            throw ApusError(
                .invalidTokenizer, "a token id from 0 to \(Vocabulary.idLimit - 1) is wanted", place: place)
        }
        return Int32(id)
    }

    /// `{"String": …}` or `{"Regex": …}` at `pattern`.
    func textPattern() throws(ApusError) -> TextPattern {
        let pattern = try part("pattern")
        guard pattern.object.count == 1 else { throw failure("pattern", "either String or Regex is wanted") }
        if pattern.object["Regex"] != nil {
            let text = try pattern.string("Regex")
            do throws(RegexFailure) {
                return .regex(try Regex(text))
            } catch {
                throw pattern.failure("Regex", error.reason)
            }
        }
        let text = try pattern.string("String")
        do throws(RegexFailure) {
            return try TextPattern(literal: text)
        } catch {
            throw pattern.failure("String", error.reason)
        }
    }

    /// - Throws: when `token` is longer than a trie takes.
    func checkLength(_ token: some Collection<UInt8>, _ key: String) throws(ApusError) {
        guard token.count <= DoubleArrayTrie.keyLengthLimit else {
            throw failure(key, "a token of more than \(DoubleArrayTrie.keyLengthLimit) bytes is not supported")
        }
    }

    func unknownType(_ type: String, _ room: String) -> ApusError {
        failure("type", "the \(room) '\(type)' is not supported")
    }
}
