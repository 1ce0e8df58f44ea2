extension Tokenizer {
    /// The ids of one text without special tokens.
    func ids(of text: String) -> [Int32] {
        var text = text
        return text.withUTF8 { bytes in
            var ids: [Int32] = []
            ids.reserveCapacity(bytes.count / 4 + 8)
            var scratch = BPEScratch()
            addedVocabulary.original.forEachSegment(in: bytes) { range, id in
                if let id {
                    ids.append(id)
                } else if let bertPipeline {
                    bertPipeline.encode(bytes.slice(range.lowerBound, range.upperBound), into: &ids)
                } else {
                    encode(bytes, range, into: &ids, scratch: &scratch)
                }
            }
            return ids
        }
    }

    /// Runs one stretch of original text through all steps.
    private func encode(
        _ bytes: UTF8Bytes, _ range: Range<Int>, into ids: inout [Int32], scratch: inout BPEScratch
    ) {
        let first = UTF8Length.ofScalar(startingWith: bytes[range.lowerBound])
        var text = NormalizedText(bytes: Array(bytes[range]), originLength: range.lowerBound == 0 ? first : 0)
        normalizer?.apply(to: &text)
        guard !addedVocabulary.normalized.isEmpty else {
            encodeWords(of: text, into: &ids, scratch: &scratch)
            return
        }
        text.bytes.withUnsafeBufferPointer { bytes in
            addedVocabulary.normalized.forEachSegment(in: bytes) { range, id in
                if let id {
                    ids.append(id)
                } else {
                    let segment = NormalizedText(
                        bytes: Array(bytes[range]), originLength: max(text.originLength - range.lowerBound, 0))
                    encodeWords(of: segment, into: &ids, scratch: &scratch)
                }
            }
        }
    }

    private func encodeWords(of text: NormalizedText, into ids: inout [Int32], scratch: inout BPEScratch) {
        var words = PreTokenizedText(text)
        preTokenizer?.apply(to: &words, spellsBytes: !modelTakesRawBytes)
        words.text.bytes.withUnsafeBufferPointer { bytes in
            for piece in words.pieces {
                wordModel.encode(bytes.slice(piece.lowerBound, piece.upperBound), into: &ids, scratch: &scratch)
            }
        }
    }
}
