package import ApusCheckpoint
import ApusErrors
package import ApusGraph
package import ApusTokenizers

extension Checkpoint {
    /// Rows of the network's table of token types; nil for a network in a file, which takes what the tokenizer gives.
    package var typeVocabularySize: Int? {
        if case .encoder(let configuration, _) = source { configuration.typeVocabularySize } else { nil }
    }
}

extension EncoderBatch.Sequence {
    /// The tokens of one text or pair. Networks that do not tell texts apart, RoBERTa's and its kin among them, have one type for all tokens,
    /// whatever the tokenizer's template says: their tokenizers in transformers give none.
    package init(_ encoding: Encoding, _ typeVocabularySize: Int?) {
        let isOne = typeVocabularySize.map { $0 <= 1 } ?? false
        self.init(ids: encoding.ids, typeIDs: isOne ? [Int32](repeating: 0, count: encoding.count) : encoding.typeIDs)
    }
}
