/// Text to token ids and back, as a `tokenizer.json` file of Hugging Face's `tokenizers` describes it.
///
/// Ids are those of Python's `tokenizers`. Truncation and padding in the file are ignored; see
/// ``Encoding/truncate(to:)``. Time is linear in the text (byte-pair merging of one long word: n log n). A value is
/// constant once loaded and may be used from many threads at once.
package struct Tokenizer: Sendable {
    let normalizer: Normalizer?
    let preTokenizer: PreTokenizer?
    let model: TokenModel
    /// Whether the model takes the bytes of words as they are, where the file has ByteLevel spell them.
    let modelTakesRawBytes: Bool
    /// The model as far as words are concerned: ``model``, or its form for raw bytes.
    let wordModel: TokenModel
    let addedVocabulary: AddedVocabulary
    let postProcessor: PostProcessor
    let decoder: Decoder?
    /// Present when the whole pipeline is BERT's, which then runs in one pass.
    let bertPipeline: BertPipeline?

    init(
        normalizer: Normalizer?, preTokenizer: PreTokenizer?, model: TokenModel, addedVocabulary: AddedVocabulary,
        postProcessor: PostProcessor, decoder: Decoder?
    ) {
        self.normalizer = normalizer
        self.preTokenizer = preTokenizer
        self.model = model
        self.postProcessor = postProcessor
        self.decoder = decoder
        self.addedVocabulary = addedVocabulary
        var rawModel: BPEModel?
        if case .bpe(let bpe) = model, let steps = preTokenizer?.steps, case .byteLevel? = steps.last {
            let spellings = steps.count { if case .byteLevel = $0 { true } else { false } }
            if spellings == 1 { rawModel = bpe.takingRawBytes() }
        }
        modelTakesRawBytes = rawModel != nil
        wordModel = rawModel.map(TokenModel.bpe) ?? model
        if case .bert(let normalizer)? = normalizer, case .bert? = preTokenizer, case .wordPiece(let wordPiece) = model,
            addedVocabulary.normalized.isEmpty
        {
            bertPipeline = BertPipeline(normalizer: normalizer, model: wordPiece)
        } else {
            bertPipeline = nil
        }
    }

    /// One more than the highest id, added tokens included.
    package var vocabularySize: Int {
        max(model.vocabulary.idBound, addedVocabulary.idBound)
    }

    /// The id of a token, or nil when there is no such token. Tokens are compared by their UTF-8 bytes.
    package func id(of token: String) -> Int32? {
        let bytes = Array(token.utf8)
        return addedVocabulary.id(of: bytes) ?? model.vocabulary.id(of: bytes)
    }

    /// The tokens of a text, or of a pair of texts.
    /// - Parameters:
    ///   - pair: the second text of a pair.
    ///   - addSpecialTokens: whether the file's template is applied.
    package func encode(
        _ text: String, pair: String? = nil, addSpecialTokens: SpecialTokens = .added
    ) -> Encoding {
        postProcessor.process(ids(of: text), pair.map(ids), addSpecialTokens)
    }

    /// The text that the tokens stand for; ids without a token are left out.
    package func decode(_ ids: [Int32], specialTokens: SpecialTokensInText = .skipped) -> String {
        var tokens: [[UInt8]] = []
        for id in ids {
            guard let token = addedVocabulary.content(of: id) ?? model.vocabulary.token(of: id).map(Array.init) else {
                continue
            }
            if specialTokens == .skipped, addedVocabulary.isSpecial(token) { continue }
            tokens.append(token)
        }
        let bytes = decoder.map { Array($0.decode(tokens).joined()) } ?? Array(tokens.joined(separator: [0x20]))
        return String(decoding: bytes, as: UTF8.self)
    }
}
