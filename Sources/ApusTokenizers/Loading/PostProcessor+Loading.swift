internal import ApusErrors
internal import ApusJSON

extension PostProcessor {
    /// - Parameter vocabularySize: special ids must be below it, because they index the rows of an embedding.
    init(_ json: JSONReader, vocabularySize: Int) throws(ApusError) {
        let members = try Self.members(json)
        // ByteLevel only moves offsets, which nobody asks for here.
        let placing = members.filter { $0.type != "ByteLevel" }
        guard placing.count <= 1 else {
            throw json.failure("processors", "more than one post-processor that adds tokens is not supported")
        }
        self = .none
        if let (type, part) = placing.first {
            switch type {
            case "BertProcessing": self = .bert(cls: try part.tokenAndID("cls"), sep: try part.tokenAndID("sep"))
            case "RobertaProcessing": self = .roberta(cls: try part.tokenAndID("cls"), sep: try part.tokenAndID("sep"))
            case "TemplateProcessing": self = try Self.template(part)
            default: throw part.unknownType(type, "post-processor")
            }
        }
        for case .special(let ids, _) in single + pair {
            if let id = ids.first(where: { $0 >= vocabularySize }) {
                throw json.failure("type", "the special id \(id) is not below the vocabulary's size, \(vocabularySize)")
            }
        }
    }

    private static func members(_ json: JSONReader) throws(ApusError) -> [(type: String, part: JSONReader)] {
        let type = try json.string("type")
        guard type == "Sequence" else { return [(type, json)] }
        var members: [(type: String, part: JSONReader)] = []
        for part in try json.parts("processors") { members += try Self.members(part) }
        return members
    }

    private static func template(_ json: JSONReader) throws(ApusError) -> PostProcessor {
        let specials = try json.part("special_tokens")
        return PostProcessor(
            single: try pieces(json, "single", specials, allowsSecond: false),
            pair: try pieces(json, "pair", specials, allowsSecond: true))
    }

    private static func pieces(
        _ json: JSONReader, _ key: String, _ specials: JSONReader, allowsSecond: Bool
    ) throws(ApusError) -> [Piece] {
        var pieces: [Piece] = []
        for part in try json.parts(key) {
            if let sequence = try part.optionalPart("Sequence") {
                let id = try sequence.string("id")
                guard id == "A" || (id == "B" && allowsSecond) else {
                    throw sequence.failure("id", "there is no text '\(id)' here")
                }
                pieces.append(.text(id == "A" ? .first : .second, typeID: try typeID(sequence)))
            } else {
                let special = try part.part("SpecialToken")
                let name = try special.string("id")
                guard specials.object[name] != nil else {
                    throw special.failure("id", "special_tokens has no '\(name)'")
                }
                let token = try specials.part(name)
                var ids: [Int32] = []
                for (index, id) in try token.array("ids").enumerated() {
                    ids.append(try JSONReader.tokenID(id, place: token.place(of: "ids[\(index)]")))
                }
                pieces.append(.special(ids: ids, typeID: try typeID(special)))
            }
        }
        return pieces
    }

    private static func typeID(_ json: JSONReader) throws(ApusError) -> Int32 {
        guard let id = Int32(exactly: try json.count("type_id")) else {
            throw json.failure("type_id", "the type is too large")
        }
        return id
    }
}
