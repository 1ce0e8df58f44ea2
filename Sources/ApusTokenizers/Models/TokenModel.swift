/// The part of a tokenizer that turns words into ids.
enum TokenModel: Sendable {
    case wordPiece(WordPieceModel)
    case bpe(BPEModel)
    case unigram(UnigramModel)
    case wordLevel(WordLevelModel)

    var vocabulary: Vocabulary {
        switch self {
        case .wordPiece(let model): model.vocabulary
        case .bpe(let model): model.vocabulary
        case .unigram(let model): model.vocabulary
        case .wordLevel(let model): model.vocabulary
        }
    }

    func encode(_ word: UTF8Bytes, into ids: inout [Int32], scratch: inout BPEScratch) {
        switch self {
        case .wordPiece(let model): model.encode(word, into: &ids)
        case .bpe(let model): model.encode(word, into: &ids, scratch: &scratch)
        case .unigram(let model): model.encode(word, into: &ids)
        case .wordLevel(let model): model.encode(word, into: &ids)
        }
    }
}
