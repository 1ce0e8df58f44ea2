import ApusCheckpoint
import ApusErrors

/// BERT (Devlin et al. 2018), RoBERTa (Liu et al. 2019) and XLM-RoBERTa (Conneau et al. 2019), as transformers stores them. They differ in
/// where positions count from (``EncoderConventions``) and not in the graph.
struct BERTFamily: EncoderFamily {
    let encoder: EncoderConfiguration
    let weights: WeightStore

    func layer(_ index: Int) throws(ApusError) -> EncoderLayer {
        try bertLayer(index)
    }
}
