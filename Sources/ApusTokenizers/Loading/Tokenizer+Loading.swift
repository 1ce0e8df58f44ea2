package import ApusErrors
internal import ApusJSON

extension Tokenizer {
    /// Loads a `tokenizer.json`.
    /// - Throws: `.fileUnreadable`, or what ``init(json:name:)`` throws.
    package init(contentsOf path: String) throws(ApusError) {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        try self.init(json: FileBytes.read(path), name: name)
    }

    /// Loads the contents of a `tokenizer.json`.
    /// - Parameter name: what errors call the file.
    /// - Throws: `.invalidTokenizer`; the place is the name and the path of the member that is wrong, or the line.
    package init(json bytes: [UInt8], name: String) throws(ApusError) {
        let document: JSONValue
        do throws(ApusError) {
            document = try JSONValue(parsing: bytes)
        } catch {
            throw ApusError(
                .invalidTokenizer, error.message, place: "\(name), \(error.place ?? "")", advice: error.advice)
        }
        let json = try JSONReader(document, place: "\(name): ", code: .invalidTokenizer)
        if let version = try json.optionalString("version"), version != "1.0" {
            throw json.failure("version", "version 1.0 is wanted, not '\(version)'")
        }
        let model = try TokenModel(json.part("model"))
        let normalizer = try json.optionalPart("normalizer").map { (part) throws(ApusError) in try Normalizer(part) }
        let addedVocabulary = AddedVocabulary(
            try Self.addedTokens(json), model: model.vocabulary, normalizer: normalizer)
        let vocabularySize = max(model.vocabulary.idBound, addedVocabulary.idBound)
        self.init(
            normalizer: normalizer,
            preTokenizer: try json.optionalPart("pre_tokenizer").map { (part) throws(ApusError) in
                try PreTokenizer(part)
            },
            model: model,
            addedVocabulary: addedVocabulary,
            postProcessor: try json.optionalPart("post_processor").map { (part) throws(ApusError) in
                try PostProcessor(part, vocabularySize: vocabularySize)
            } ?? .none,
            decoder: try json.optionalPart("decoder").map { (part) throws(ApusError) in try Decoder(part) })
    }

    private static func addedTokens(_ json: JSONReader) throws(ApusError) -> [AddedToken] {
        guard json.optional("added_tokens") != nil else { return [] }
        var tokens: [AddedToken] = []
        for part in try json.parts("added_tokens") {
            _ = try JSONReader.tokenID(part.required("id"), place: part.place(of: "id"))
            let token = AddedToken(
                content: try part.bytes("content"), isSingleWord: try part.bool("single_word"),
                stripsLeft: try part.bool("lstrip"), stripsRight: try part.bool("rstrip"),
                isNormalized: try part.bool("normalized"), isSpecial: try part.bool("special"))
            try part.checkLength(token.content, "content")
            tokens.append(token)
        }
        return tokens
    }
}
