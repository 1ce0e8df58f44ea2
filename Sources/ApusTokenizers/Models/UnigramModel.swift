/// Unigram: of all ways to cut a text into known pieces, the one with the highest sum of scores.
struct UnigramModel: Sendable {
    let vocabulary: Vocabulary
    private let scores: [Double]
    private let trie: DoubleArrayTrie
    /// Nil when the file names none; text that no piece covers then yields nothing.
    private let unknownID: Int32?
    private let unknownScore: Double
    /// For each byte the id of the token that stands for it; nil when the model has no byte fallback.
    private let byteIDs: [Int32?]?

    /// The distance between the lowest score and that of an unknown character, in sentencepiece and in `tokenizers`.
    private static let unknownPenalty = 10.0

    /// - Parameter scores: finite, one for each id of `vocabulary`.
    init(vocabulary: Vocabulary, scores: [Double], unknownID: Int32?, hasByteFallback: Bool) {
        self.vocabulary = vocabulary
        self.scores = scores
        self.unknownID = unknownID
        trie = DoubleArrayTrie(vocabulary.entries.filter { !$0.bytes.isEmpty })
        unknownScore = (scores.min() ?? .infinity) - Self.unknownPenalty
        byteIDs = hasByteFallback ? ByteTokens.ids(in: vocabulary) : nil
    }

    private struct Arrival {
        var score = 0.0
        /// Where the best piece that ends here starts; -1 when none does.
        var start: Int32 = -1
        var id: Int32 = -1
    }

    func encode(_ text: UTF8Bytes, into ids: inout [Int32]) {
        guard !text.isEmpty else { return }
        withUnsafeTemporaryAllocation(of: Arrival.self, capacity: text.count + 1) { arrivals in
            arrivals.initialize(repeating: Arrival())
            findBestPath(text, arrivals)
            emit(text, arrivals, into: &ids)
        }
    }

    private func findBestPath(_ text: UTF8Bytes, _ arrivals: UnsafeMutableBufferPointer<Arrival>) {
        trie.withWalker { walker in
            scores.withUnsafeBufferPointer { scores in
                var start = 0
                while start < text.count {
                    let scoreHere = arrivals[start].score
                    let length = UTF8Length.ofScalar(startingWith: text[start])
                    var hasSingle = false
                    var node = DoubleArrayTrie.root
                    var end = start
                    while end < text.count, walker.step(&node, text[end]) {
                        end += 1
                        let id = walker.value(at: node)
                        guard id >= 0 else { continue }
                        let score = scores[Int(id)] + scoreHere
                        if arrivals[end].start < 0 || score > arrivals[end].score {
                            arrivals[end] = Arrival(score: score, start: Int32(truncatingIfNeeded: start), id: id)
                        }
                        if end - start == length { hasSingle = true }
                    }
                    if !hasSingle {
                        let score = unknownScore + scoreHere
                        if arrivals[start + length].start < 0 || score > arrivals[start + length].score {
                            arrivals[start + length] = Arrival(
                                score: score, start: Int32(truncatingIfNeeded: start), id: unknownID ?? -1)
                        }
                    }
                    start += length
                }
            }
        }
    }

    /// Walks the best path back, joins neighbouring unknown pieces, and appends the ids in order.
    private func emit(_ text: UTF8Bytes, _ arrivals: UnsafeMutableBufferPointer<Arrival>, into ids: inout [Int32]) {
        let mark = ids.count
        let unknown = unknownID ?? -1
        var end = text.count
        while end > 0 {
            var start = Int(arrivals[end].start)
            let id = arrivals[end].id
            if id == unknown {
                while start > 0, arrivals[start].id == unknown { start = Int(arrivals[start].start) }
                appendReversed(unknownText: text.slice(start, end), to: &ids)
            } else {
                ids.append(id)
            }
            end = start
        }
        ids[mark...].reverse()
    }

    private func appendReversed(unknownText text: UTF8Bytes, to ids: inout [Int32]) {
        if let id = vocabulary.id(of: text) {
            ids.append(id)
            return
        }
        if let byteIDs {
            let mark = ids.count
            var isComplete = true
            for byte in text.reversed() {
                guard let id = byteIDs[Int(byte)] else {
                    isComplete = false
                    break
                }
                ids.append(id)
            }
            if isComplete { return }
            ids.removeSubrange(mark...)
        }
        if let unknownID { ids.append(unknownID) }
    }
}

/// The tokens `<0x00>` to `<0xFF>` that stand for single bytes.
enum ByteTokens {
    static func ids(in vocabulary: Vocabulary) -> [Int32?] {
        (0..<256).map { byte in
            let digits = String(byte, radix: 16, uppercase: true)
            return vocabulary.id(of: "<0x" + (byte < 16 ? "0" : "") + digits + ">")
        }
    }

    /// The byte of a token such as `<0x0A>`, or nil for any other token.
    static func byte(of token: [UInt8]) -> UInt8? {
        guard token.count == 6, token.starts(with: "<0x".utf8), token[5] == UInt8(ascii: ">") else { return nil }
        // As Rust's parser of digits: a sign is allowed.
        if token[3] == UInt8(ascii: "+") { return digit(token[4]) }
        guard let high = digit(token[3]), let low = digit(token[4]) else { return nil }
        return high << 4 | low
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x37
        case 0x61...0x66: byte - 0x57
        default: nil
        }
    }
}
