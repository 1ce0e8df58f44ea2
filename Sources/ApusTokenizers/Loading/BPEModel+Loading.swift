internal import ApusErrors
internal import ApusJSON

extension BPEModel {
    init(_ json: JSONReader) throws(ApusError) {
        if let dropout = try json.optionalNumber("dropout"), dropout != 0 {
            throw json.failure("dropout", "merges that are left out at random are not supported")
        }
        var options = Options()
        options.unknownToken = try json.optionalString("unk_token").map { Array($0.utf8) }
        options.continuingPrefix = try json.optionalString("continuing_subword_prefix").map { Array($0.utf8) } ?? []
        options.endOfWordSuffix = try json.optionalString("end_of_word_suffix").map { Array($0.utf8) } ?? []
        options.joinsUnknown = try json.optionalBool("fuse_unk") ?? false
        options.hasByteFallback = try json.optionalBool("byte_fallback") ?? false
        options.ignoresMerges = try json.optionalBool("ignore_merges") ?? false
        let vocabulary = try Vocabulary(json)
        let merges = try Self.merges(json, vocabulary, prefixLength: options.continuingPrefix.count)
        self.init(vocabulary: vocabulary, merges: merges, options: options)
    }

    /// The merges, each as `"left right"` or as `["left", "right"]`; the place in the list is the rank.
    private static func merges(
        _ json: JSONReader, _ vocabulary: Vocabulary, prefixLength: Int
    ) throws(ApusError) -> MergeTable {
        let entries = try json.array("merges")
        var table = MergeTable(capacity: entries.count)
        var rank: Int32 = 0
        for (index, entry) in entries.enumerated() {
            let place = "merges[\(index)]"
            let left: [UInt8]
            let right: [UInt8]
            switch entry {
            case .string(let line):
                if line.utf8.starts(with: "#version".utf8) { continue }
                let parts = Array(line.utf8).split(separator: 0x20, omittingEmptySubsequences: false)
                guard parts.count == 2 else {
                    throw json.failure(place, "two tokens with one space between are wanted")
                }
                (left, right) = (Array(parts[0]), Array(parts[1]))
            case .array(let pair):
                guard pair.count == 2, case .string(let first) = pair[0], case .string(let second) = pair[1] else {
                    throw json.failure(place, "two tokens are wanted")
                }
                (left, right) = (Array(first.utf8), Array(second.utf8))
            default:
                throw json.failure(place, "a merge is a string or a pair of strings, not \(entry.kind)")
            }
            guard let leftID = vocabulary.id(of: left) else { throw unknown(left, json, place) }
            guard let rightID = vocabulary.id(of: right) else { throw unknown(right, json, place) }
            guard right.count >= prefixLength else {
                throw json.failure(place, "the second token is shorter than continuing_subword_prefix")
            }
            let merged = left + right.dropFirst(prefixLength)
            guard let mergedID = vocabulary.id(of: merged) else { throw unknown(merged, json, place) }
            table.insert(leftID, rightID, MergeTable.Merge(rank: rank, id: mergedID))
            rank += 1
        }
        return table
    }

    private static func unknown(_ token: [UInt8], _ json: JSONReader, _ place: String) -> ApusError {
        json.failure(place, "the token '\(String(decoding: token, as: UTF8.self))' is not in the vocabulary")
    }
}
