internal import ApusErrors
internal import ApusJSON

extension TokenModel {
    init(_ json: JSONReader) throws(ApusError) {
        let type = try Self.type(of: json)
        switch type {
        case "WordPiece": self = .wordPiece(try WordPieceModel(json))
        case "BPE": self = .bpe(try BPEModel(json))
        case "Unigram": self = .unigram(try UnigramModel(json))
        case "WordLevel": self = .wordLevel(try WordLevelModel(json))
        default: throw json.unknownType(type, "model")
        }
    }

    /// Older files do not name the type; their fields tell.
    private static func type(of json: JSONReader) throws(ApusError) -> String {
        if json.object["type"] != nil { return try json.string("type") }
        if json.object["merges"] != nil { return "BPE" }
        if case .array? = json.object["vocab"] { return "Unigram" }
        if json.object["continuing_subword_prefix"] != nil { return "WordPiece" }
        return "WordLevel"
    }
}

extension Vocabulary {
    /// The object of tokens and ids at `vocab`. Ids may leave holes but not come twice.
    init(_ json: JSONReader) throws(ApusError) {
        let entries = try json.part("vocab").object.entries
        self.init(minimumCapacity: entries.count)
        for (token, value) in entries {
            let id = try JSONReader.tokenID(value, place: json.place(of: "vocab") + "['\(token)']")
            let utf8 = token.utf8
            let isNew = utf8.withContiguousStorageIfAvailable { insert($0, id: Int(id)) } ?? insert(utf8, id: Int(id))
            guard isNew else {
                throw json.failure("vocab['\(token)']", "another token has the id \(id) too")
            }
        }
    }
}

extension WordPieceModel {
    init(_ json: JSONReader) throws(ApusError) {
        let vocabulary = try Vocabulary(json)
        for entry in vocabulary.entries { try json.checkLength(entry.bytes, "vocab") }
        let unknown = try json.string("unk_token")
        guard let unknownID = vocabulary.id(of: unknown) else {
            throw json.failure("unk_token", "the token '\(unknown)' is not in the vocabulary")
        }
        self.init(
            vocabulary: vocabulary, unknownID: unknownID,
            continuingPrefix: try json.bytes("continuing_subword_prefix"),
            characterLimit: try json.count("max_input_chars_per_word"))
    }
}

extension WordLevelModel {
    init(_ json: JSONReader) throws(ApusError) {
        let vocabulary = try Vocabulary(json)
        self.init(vocabulary: vocabulary, unknownID: vocabulary.id(of: try json.string("unk_token")))
    }
}

extension UnigramModel {
    init(_ json: JSONReader) throws(ApusError) {
        let entries = try json.array("vocab")
        guard entries.count < Vocabulary.idLimit else { throw json.failure("vocab", "there are too many tokens") }
        var vocabulary = Vocabulary(minimumCapacity: entries.count)
        var scores: [Double] = []
        scores.reserveCapacity(entries.count)
        for (index, entry) in entries.enumerated() {
            guard case .array(let pair) = entry, pair.count == 2, case .string(let token) = pair[0] else {
                throw json.failure("vocab[\(index)]", "a token and its score are wanted")
            }
            scores.append(try pair[1].numberValue(at: json.place(of: "vocab[\(index)][1]"), code: .invalidTokenizer))
            let bytes = Array(token.utf8)
            try json.checkLength(bytes, "vocab[\(index)][0]")
            _ = vocabulary.insert(bytes, id: index)
        }
        var unknownID: Int32?
        if let id = try json.optionalInteger("unk_id") {
            guard entries.indices.contains(id) else {
                throw json.failure("unk_id", "\(id) is not an index of the \(entries.count) tokens")
            }
            unknownID = Int32(id)
        }
        self.init(
            vocabulary: vocabulary, scores: scores, unknownID: unknownID,
            hasByteFallback: try json.optionalBool("byte_fallback") ?? false)
    }
}
