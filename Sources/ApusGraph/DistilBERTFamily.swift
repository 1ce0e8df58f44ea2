import ApusCheckpoint
import ApusErrors

/// DistilBERT (Sanh et al. 2019): BERT without token types, under names of its own.
struct DistilBERTFamily: EncoderFamily {
    let encoder: EncoderConfiguration
    let weights: WeightStore

    func layer(_ index: Int) throws(ApusError) -> EncoderLayer {
        let layer = "transformer.layer.\(index)"
        return EncoderLayer(
            query: try linear("\(layer).attention.q_lin"),
            key: try linear("\(layer).attention.k_lin"),
            value: try linear("\(layer).attention.v_lin"),
            attentionOutput: try linear("\(layer).attention.out_lin"),
            attentionNorm: try norm("\(layer).sa_layer_norm"),
            expand: try linear("\(layer).ffn.lin1"),
            contract: try linear("\(layer).ffn.lin2"),
            outputNorm: try norm("\(layer).output_layer_norm"))
    }
}
