/// The architecture of a transformer encoder, as config.json describes it; every value checked for its range.
package struct EncoderConfiguration: Sendable, Hashable {
    package enum Family: String, Sendable, Hashable, CaseIterable {
        // Raw values are those of `model_type`.
        case bert
        case roberta
        case xlmRoberta = "xlm-roberta"
        case distilBert = "distilbert"
        case mpnet
    }

    package let family: Family
    /// Width of a token's hidden state; a multiple of ``heads``.
    package let hiddenSize: Int
    package let layers: Int
    package let heads: Int
    /// Width between the two linear layers of the feed-forward part.
    package let intermediateSize: Int
    package let vocabularySize: Int
    /// Rows of the position table, those below ``positionOffset`` included.
    package let maxPositions: Int
    /// Rows of the token-type table; 0 for families without one.
    package let typeVocabularySize: Int
    package let layerNormEpsilon: Double
    package let activation: Activation
    package let padTokenID: Int
    /// Buckets of MPNet's relative positions, both directions together; nil for the other families.
    package let relativeAttentionBuckets: Int?

    /// Width of one attention head.
    package var headSize: Int { hiddenSize / heads }

    /// The position of a sequence's first token. RoBERTa and XLM-RoBERTa count from the padding id plus one, and so does MPNet, which
    /// takes 1 for the padding id whatever the configuration says (`MPNetEmbeddings.padding_idx`).
    package var positionOffset: Int {
        switch family {
        case .bert, .distilBert: 0
        case .roberta, .xlmRoberta: padTokenID + 1
        case .mpnet: 2
        }
    }

    /// The longest sequence that has a position for each token.
    package var longestSequence: Int { maxPositions - positionOffset }
}
