/// WordPiece: a word is cut into the longest known pieces from its start; a word that cannot be cut is unknown.
struct WordPieceModel: Sendable {
    let vocabulary: Vocabulary
    private let trie: DoubleArrayTrie
    /// Where pieces go on that do not start a word; nil when the vocabulary has none.
    private let continuation: DoubleArrayTrie.Node?
    let unknownID: Int32
    /// Longer words, counted in scalars, are unknown.
    let characterLimit: Int

    init(vocabulary: Vocabulary, unknownID: Int32, continuingPrefix: [UInt8], characterLimit: Int) {
        self.vocabulary = vocabulary
        self.unknownID = unknownID
        self.characterLimit = characterLimit
        trie = DoubleArrayTrie(vocabulary.entries)
        continuation = trie.node(continuingPrefix)
    }

    /// Gives access for many words.
    @inline(__always)
    func withEncoder<Result>(_ body: (Encoder) -> Result) -> Result {
        trie.withWalker { body(Encoder(model: self, walker: $0)) }
    }

    struct Encoder {
        fileprivate let model: WordPieceModel
        fileprivate let walker: DoubleArrayTrie.Walker

        /// Appends the ids of one word.
        /// - Parameter characters: the scalars of `word`, when the caller has counted them.
        @inline(__always)
        func encode(_ word: UTF8Bytes, characters: Int, into ids: inout [Int32]) {
            guard characters <= model.characterLimit else {
                ids.append(model.unknownID)
                return
            }
            let mark = ids.count
            var start = 0
            var origin: DoubleArrayTrie.Node? = DoubleArrayTrie.root
            while start < word.count {
                guard let node = origin else {
                    ids.removeSubrange(mark...)
                    ids.append(model.unknownID)
                    return
                }
                let (length, value) = walker.longestMatch(in: word, from: start, at: node)
                guard length > 0 else {
                    ids.removeSubrange(mark...)
                    ids.append(model.unknownID)
                    return
                }
                ids.append(value)
                start += length
                origin = model.continuation
            }
        }
    }

    func encode(_ word: UTF8Bytes, into ids: inout [Int32]) {
        var characters = 0
        for byte in word where byte & 0xC0 != 0x80 { characters += 1 }
        withEncoder { $0.encode(word, characters: characters, into: &ids) }
    }
}
