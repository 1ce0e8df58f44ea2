import ApusCheckpoint
import ApusErrors

/// BERT (Devlin et al. 2018), RoBERTa (Liu et al. 2019) and XLM-RoBERTa (Conneau et al. 2019), as transformers stores them. They differ in
/// where positions count from (``EncoderConventions``) and not in the graph.
struct BERTFamily: EncoderFamily {
    let encoder: EncoderConfiguration
    let weights: WeightStore

    init(_ encoder: EncoderConfiguration, _ weights: WeightStore) {
        self.encoder = encoder
        self.weights = weights
    }

    func embeddings(_ writer: inout GraphWriter) throws(ApusError) -> GraphWriter.Value {
        writer.embeddings(
            words: try tensor("embeddings.word_embeddings.weight"),
            positions: try tensor("embeddings.position_embeddings.weight"),
            types: try tensor("embeddings.token_type_embeddings.weight"),
            try norm("embeddings.LayerNorm"), width: encoder.hiddenSize)
    }

    func layer(_ index: Int) throws(ApusError) -> EncoderLayer {
        try bertLayer(index)
    }
}
