/// Text on its way through the normalizers.
struct NormalizedText {
    var bytes: [UInt8]
    /// How many leading bytes go back to the very start of the original text. The pre-tokenizer Metaspace with the
    /// scheme "first" asks whether a piece starts there.
    var originLength: Int
}
