internal import ApusErrors
internal import ApusJSON

extension Decoder {
    init(_ json: JSONReader) throws(ApusError) {
        let type = try json.string("type")
        switch type {
        case "BPEDecoder": self = .bpe(suffix: try json.bytes("suffix"))
        case "ByteFallback": self = .byteFallback
        case "ByteLevel": self = .byteLevel
        case "Fuse": self = .fuse
        case "CTC":
            self = .ctc(
                padding: try json.bytes("pad_token"), wordDelimiter: try json.bytes("word_delimiter_token"),
                cleansUp: try json.bool("cleanup"))
        case "Metaspace":
            let metaspace = try Metaspace(json)
            self = .metaspace(replacement: metaspace.replacement, dropsFirst: metaspace.scheme != .never)
        case "Replace": self = .replace(try json.textPattern(), content: try json.bytes("content"))
        case "Strip":
            self = .strip(
                content: try json.scalar("content"), start: try json.count("start"), stop: try json.count("stop"))
        case "WordPiece": self = .wordPiece(prefix: try json.bytes("prefix"), cleansUp: try json.bool("cleanup"))
        case "Sequence":
            var members: [Decoder] = []
            for part in try json.parts("decoders") { members.append(try Decoder(part)) }
            self = .sequence(members)
        default:
            throw json.unknownType(type, "decoder")
        }
    }
}
