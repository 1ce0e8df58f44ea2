/// The inputs of text encoders that come as ONNX files, each `[B, S]`, by the names exporters give them.
package enum PaddedInput: String, CaseIterable, Sendable {
    case inputIDs = "input_ids"
    /// 1 for tokens, 0 for padding.
    case attentionMask = "attention_mask"
    case tokenTypeIDs = "token_type_ids"
}
