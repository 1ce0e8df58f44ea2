/// Where special tokens go around one text and around a pair.
struct PostProcessor: Sendable {
    enum Piece: Sendable {
        case text(Encoding.Run.Origin, typeID: Int32)
        case special(ids: [Int32], typeID: Int32)
    }

    var single: [Piece]
    var pair: [Piece]

    /// No special tokens; the second text has type 1.
    static let none = PostProcessor(
        single: [.text(.first, typeID: 0)], pair: [.text(.first, typeID: 0), .text(.second, typeID: 1)])

    /// `[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]`, the second text of type 1.
    static func bert(cls: Int32, sep: Int32) -> PostProcessor {
        let first: [Piece] = [
            .special(ids: [cls], typeID: 0), .text(.first, typeID: 0), .special(ids: [sep], typeID: 0),
        ]
        return PostProcessor(
            single: first, pair: first + [.text(.second, typeID: 1), .special(ids: [sep], typeID: 1)])
    }

    /// `<s> A </s>` and `<s> A </s></s> B </s>`, all of type 0.
    static func roberta(cls: Int32, sep: Int32) -> PostProcessor {
        let first: [Piece] = [
            .special(ids: [cls], typeID: 0), .text(.first, typeID: 0), .special(ids: [sep], typeID: 0),
        ]
        let second: [Piece] = [
            .special(ids: [sep], typeID: 0), .text(.second, typeID: 0), .special(ids: [sep], typeID: 0),
        ]
        return PostProcessor(single: first, pair: first + second)
    }

    /// Puts an encoding together.
    /// - Parameter second: the ids of the second text, nil when there is none.
    func process(_ first: [Int32], _ second: [Int32]?, _ specialTokens: SpecialTokens) -> Encoding {
        var ids: [Int32] = []
        ids.reserveCapacity(first.count + (second?.count ?? 0) + 4)
        var runs: [Encoding.Run] = []
        for piece in second == nil ? single : pair {
            switch piece {
            case .special(let special, let typeID):
                guard specialTokens == .added else { continue }
                ids += special
                runs.append(Encoding.Run(origin: .special, typeID: typeID, count: special.count))
            case .text(let origin, let typeID):
                let text = origin == .second ? second ?? [] : first
                ids += text
                runs.append(Encoding.Run(origin: origin, typeID: typeID, count: text.count))
            }
        }
        return Encoding(ids: ids, runs: runs)
    }
}
