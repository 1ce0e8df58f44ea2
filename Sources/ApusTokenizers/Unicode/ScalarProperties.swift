/// What the tables say about one scalar. The bits are those of the header of `CApusUnicode`.
struct ScalarProperties: RawRepresentable, Sendable {
    let rawValue: UInt32

    @inline(__always) private func has(_ bit: UInt32) -> Bool { rawValue & (1 << bit) != 0 }

    /// An index into ``GeneralCategory``.
    @inline(__always) var category: Int { Int(rawValue & 31) }
    @inline(__always) var isWhitespace: Bool { has(5) }
    @inline(__always) var isNumeric: Bool { has(6) }
    /// Punctuation as BERT sees it: all ASCII symbols are in.
    @inline(__always) var isPunctuation: Bool { has(7) }
    /// What BERT's text cleaning drops.
    @inline(__always) var isControl: Bool { has(8) }
    @inline(__always) var isNonspacingMark: Bool { has(9) }
    @inline(__always) var isCombiningMark: Bool { has(10) }
    /// `\w` at the edges of added tokens and in the pre-tokenizer Whitespace.
    @inline(__always) var isWordOfTokens: Bool { has(11) }
    /// `\s` at the edges of added tokens and in the pre-tokenizer Whitespace.
    @inline(__always) var isSpaceOfTokens: Bool { has(12) }
    /// `\s` of patterns.
    @inline(__always) var isSpaceOfPatterns: Bool { has(13) }
    /// `\w` of patterns.
    @inline(__always) var isWordOfPatterns: Bool { has(14) }
    @inline(__always) var hasLowercase: Bool { has(15) }
    @inline(__always) var graphemeBreak: GraphemeBreak { GraphemeBreak(rawValue: UInt8(rawValue >> 16 & 15)) ?? .other }
    @inline(__always) var conjunctBreak: ConjunctBreak { ConjunctBreak(rawValue: UInt8(rawValue >> 20 & 3)) ?? .none }
    @inline(__always) var combiningClass: UInt8 { UInt8(rawValue >> 22 & 255) }
    @inline(__always) var hasCanonicalDecomposition: Bool { has(30) }
    @inline(__always) var hasCompatibilityDecomposition: Bool { has(31) }
}

/// The names of the general categories in the order of the tables.
enum GeneralCategory {
    static let names = [
        "Cn", "Cc", "Cf", "Cs", "Co", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd",
        "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp",
    ]
}

/// Grapheme_Cluster_Break of UAX #29, and Extended_Pictographic for scalars that have no other value.
enum GraphemeBreak: UInt8 {
    case other, carriageReturn, lineFeed, control, extend, joiner, regionalIndicator, prepend, spacingMark
    case leadingJamo, vowelJamo, trailingJamo, syllableLV, syllableLVT, pictographic
}

/// Indic_Conjunct_Break of UAX #44.
enum ConjunctBreak: UInt8 {
    case none, linker, consonant, extend
}

/// Conjoining of Hangul by arithmetic (The Unicode Standard, section 3.12).
enum Hangul {
    private static let syllableBase: UInt32 = 0xAC00
    private static let leadingBase: UInt32 = 0x1100
    private static let vowelBase: UInt32 = 0x1161
    private static let trailingBase: UInt32 = 0x11A7
    private static let leadingCount: UInt32 = 19
    private static let vowelCount: UInt32 = 21
    private static let trailingCount: UInt32 = 28
    private static let syllableCount = leadingCount * vowelCount * trailingCount

    @inline(__always)
    static func isSyllable(_ scalar: UInt32) -> Bool {
        scalar >= syllableBase && scalar < syllableBase + syllableCount
    }

    /// - Parameter syllable: a scalar for which ``isSyllable(_:)`` holds.
    /// - Returns: two jamos, or three; the third is nil for a syllable without a final consonant.
    static func decomposition(_ syllable: UInt32) -> (UInt32, UInt32, UInt32?) {
        let index = syllable - syllableBase
        let trailing = index % trailingCount
        return (
            leadingBase + index / (vowelCount * trailingCount),
            vowelBase + index % (vowelCount * trailingCount) / trailingCount,
            trailing == 0 ? nil : trailingBase + trailing
        )
    }

    static func composition(_ first: UInt32, _ second: UInt32) -> UInt32? {
        if first >= leadingBase, first < leadingBase + leadingCount,
            second >= vowelBase, second < vowelBase + vowelCount
        {
            return syllableBase + ((first - leadingBase) * vowelCount + second - vowelBase) * trailingCount
        }
        if isSyllable(first), (first - syllableBase) % trailingCount == 0,
            second > trailingBase, second < trailingBase + trailingCount
        {
            return first + second - trailingBase
        }
        return nil
    }
}
