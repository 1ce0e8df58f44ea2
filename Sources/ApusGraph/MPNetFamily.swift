import ApusCheckpoint
import ApusErrors
import ApusExecution

/// MPNet (Song et al. 2020): BERT's layers without token types, plus a learnt bias on attention scores by relative position.
struct MPNetFamily: EncoderFamily {
    let encoder: EncoderConfiguration
    let weights: WeightStore

    func relativeBias(_ writer: inout GraphWriter, heads: Range<Int>) throws(ApusError) -> GraphWriter.Value? {
        let table = try writer.columns(heads, of: try matrix("encoder.relative_attention_bias.weight"))
        let biases = writer.apply("Gather", [table, writer.encoderInput(.positionBuckets)])
        let byHead = writer.apply("Transpose", [biases], ["perm": .ints([2, 0, 1])])
        return writer.apply("Unsqueeze", [byHead, writer.literal([0])])
    }

    func layer(_ index: Int) throws(ApusError) -> EncoderLayer {
        let layer = "encoder.layer.\(index)"
        return EncoderLayer(
            query: try linear("\(layer).attention.attn.q"),
            key: try linear("\(layer).attention.attn.k"),
            value: try linear("\(layer).attention.attn.v"),
            attentionOutput: try linear("\(layer).attention.attn.o"),
            attentionNorm: try norm("\(layer).attention.LayerNorm"),
            expand: try linear("\(layer).intermediate.dense"),
            contract: try linear("\(layer).output.dense"),
            outputNorm: try norm("\(layer).output.LayerNorm"))
    }
}
