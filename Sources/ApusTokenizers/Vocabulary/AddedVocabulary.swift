/// The added tokens of a tokenizer, which come before those of the model.
struct AddedVocabulary: Sendable {
    /// Looks in the text as it comes.
    let original: AddedTokenMatcher
    /// Looks in normalized text.
    let normalized: AddedTokenMatcher
    private let tokenOfID: [Int32: AddedToken]
    /// How a token reads in decoding when normalization changes it.
    private let normalizedContent: [Int32: [UInt8]]
    private let specialContents: Set<[UInt8]>

    /// Gives ids as `tokenizers` does: a token that the model knows has the model's id, any other the next free one;
    /// the ids in the file do not count.
    init(_ tokens: [AddedToken], model: Vocabulary, normalizer: Normalizer?) {
        var idOfContent: [[UInt8]: Int32] = [:]
        var tokenOfID: [Int32: AddedToken] = [:]
        var normalizedContent: [Int32: [UInt8]] = [:]
        var specialContents: Set<[UInt8]> = []
        var nextID = Int32(clamping: model.count)
        for token in tokens where !token.content.isEmpty {
            let id: Int32
            if let known = idOfContent[token.content] ?? model.id(of: token.content) {
                if tokenOfID[known] == token { continue }
                id = known
            } else {
                id = nextID
                nextID += 1
            }
            if token.isNormalized, let normalizer {
                let length = UTF8Length.ofScalar(startingWith: token.content[0])
                var text = NormalizedText(bytes: token.content, originLength: length)
                normalizer.apply(to: &text)
                if text.bytes != token.content { normalizedContent[id] = text.bytes }
            }
            idOfContent[token.content] = id
            tokenOfID[id] = token
            if token.isSpecial { specialContents.insert(token.content) }
        }
        var patterns: [(pattern: [UInt8], token: AddedToken, id: Int32)] = []
        // From the highest id down: of tokens that normalize alike the lowest id is found.
        for (id, token) in tokenOfID.sorted(by: { $0.key > $1.key }) {
            patterns.append((token.isNormalized ? normalizedContent[id] ?? token.content : token.content, token, id))
        }
        original = AddedTokenMatcher(patterns.filter { !$0.token.isNormalized })
        normalized = AddedTokenMatcher(patterns.filter { $0.token.isNormalized })
        self.tokenOfID = tokenOfID
        self.normalizedContent = normalizedContent
        self.specialContents = specialContents
    }

    /// One more than the highest id, or 0.
    var idBound: Int { (tokenOfID.keys.max()).map { Int($0) + 1 } ?? 0 }

    func content(of id: Int32) -> [UInt8]? {
        tokenOfID[id].map { normalizedContent[id] ?? $0.content }
    }

    func isSpecial(_ content: some Sequence<UInt8>) -> Bool {
        !specialContents.isEmpty && specialContents.contains(Array(content))
    }

    func id(of content: [UInt8]) -> Int32? {
        tokenOfID.first { $0.value.content == content }?.key
    }
}
