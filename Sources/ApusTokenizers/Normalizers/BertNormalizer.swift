/// BERT's normalizer: cleans text, sets Chinese characters apart, strips accents, lowercases.
struct BertNormalizer: Sendable {
    let cleansText: Bool
    let separatesChinese: Bool
    let stripsAccents: Bool
    let lowercases: Bool

    /// CJK ideographs as BERT lists them.
    @inline(__always)
    static func isChinese(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F,
            0x2B920...0x2CEAF, 0xF900...0xFAFF, 0x2F800...0x2FA1F:
            true
        default: false
        }
    }

    func apply(to text: inout NormalizedText) {
        let tables = UnicodeTables.shared
        if cleansText {
            Normalizer.mapScalars(&text) { scalar, output in
                let properties = tables.properties(of: scalar)
                if properties.isControl { return }
                output.append(scalar: properties.isWhitespace ? 0x20 : scalar)
            }
        }
        if separatesChinese {
            Normalizer.mapScalars(&text) { scalar, output in
                guard Self.isChinese(scalar) else {
                    output.append(scalar: scalar)
                    return
                }
                output.append(0x20)
                output.append(scalar: scalar)
                output.append(0x20)
            }
        }
        if stripsAccents {
            Normalizer.form(.nfd).apply(to: &text)
            Normalizer.mapScalars(&text) { scalar, output in
                if !tables.properties(of: scalar).isNonspacingMark { output.append(scalar: scalar) }
            }
        }
        if lowercases { Normalizer.lowercase.apply(to: &text) }
    }
}
