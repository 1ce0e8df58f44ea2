internal import ApusErrors
internal import ApusJSON

extension Normalizer {
    init(_ json: JSONReader) throws(ApusError) {
        let type = try json.string("type")
        switch type {
        case "BertNormalizer":
            let lowercases = try json.bool("lowercase")
            self = .bert(
                BertNormalizer(
                    cleansText: try json.bool("clean_text"),
                    separatesChinese: try json.bool("handle_chinese_chars"),
                    stripsAccents: try json.optionalBool("strip_accents") ?? lowercases,
                    lowercases: lowercases))
        case "NFC": self = .form(.nfc)
        case "NFD": self = .form(.nfd)
        case "NFKC": self = .form(.nfkc)
        case "NFKD": self = .form(.nfkd)
        case "Lowercase": self = .lowercase
        case "StripAccents": self = .stripAccents
        case "Nmt": self = .nmt
        case "ByteLevel": self = .byteLevel
        case "Strip": self = .strip(left: try json.bool("strip_left"), right: try json.bool("strip_right"))
        case "Replace": self = .replace(try json.textPattern(), content: try json.bytes("content"))
        case "Prepend": self = .prepend(try json.bytes("prepend"))
        case "Precompiled":
            let key = "precompiled_charsmap"
            guard let blob = Base64.decode(try json.string(key)) else {
                throw json.failure(key, "Base64 is wanted")
            }
            guard let map = PrecompiledCharacterMap(blob) else {
                throw json.failure(key, "the character map is damaged")
            }
            self = .precompiled(map)
        case "Sequence":
            var members: [Normalizer] = []
            for part in try json.parts("normalizers") { members.append(try Normalizer(part)) }
            self = .sequence(members)
        default:
            throw json.unknownType(type, "normalizer")
        }
    }
}
