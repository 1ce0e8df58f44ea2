/// Extended grapheme clusters of UAX #29 over UTF-8.
enum GraphemeClusters {
    /// The end of the cluster that starts at `start`.
    static func end(of text: UTF8Bytes, from start: Int) -> Int {
        let tables = UnicodeTables.shared
        let (first, length) = text.scalar(at: start)
        var index = start + length
        let properties = tables.properties(of: first)
        var previous = properties.graphemeBreak
        var regionalIndicators = previous == .regionalIndicator ? 1 : 0
        // GB11: a pictograph, any extenders, then a joiner.
        var isAfterPictograph = previous == .pictographic
        var isAfterPictographAndJoiner = false
        // GB9c: a consonant, then extenders and linkers.
        var isAfterConsonant = properties.conjunctBreak == .consonant
        var hasLinker = false

        while index < text.count {
            let (scalar, length) = text.scalar(at: index)
            let properties = tables.properties(of: scalar)
            let next = properties.graphemeBreak
            let isConjunct = isAfterConsonant && hasLinker && properties.conjunctBreak == .consonant
            let isPictographSequence = isAfterPictographAndJoiner && next == .pictographic
            let isFlag = next == .regionalIndicator && regionalIndicators % 2 == 1
            guard continues(previous, next) || isConjunct || isPictographSequence || isFlag else { return index }

            regionalIndicators = next == .regionalIndicator ? regionalIndicators + 1 : 0
            isAfterPictographAndJoiner = isAfterPictograph && next == .joiner
            isAfterPictograph = next == .pictographic || (isAfterPictograph && next == .extend)
            switch properties.conjunctBreak {
            case .consonant:
                isAfterConsonant = true
                hasLinker = false
            case .linker: hasLinker = true
            case .extend: break
            case .none: isAfterConsonant = false
            }
            previous = next
            index += length
        }
        return index
    }

    /// The rules that look at two neighbours only: GB3 to GB9b.
    private static func continues(_ previous: GraphemeBreak, _ next: GraphemeBreak) -> Bool {
        switch (previous, next) {
        case (.carriageReturn, .lineFeed): true
        case (.carriageReturn, _), (.lineFeed, _), (.control, _): false
        case (_, .carriageReturn), (_, .lineFeed), (_, .control): false
        case (.leadingJamo, .leadingJamo), (.leadingJamo, .vowelJamo), (.leadingJamo, .syllableLV),
            (.leadingJamo, .syllableLVT):
            true
        case (.syllableLV, .vowelJamo), (.syllableLV, .trailingJamo), (.vowelJamo, .vowelJamo),
            (.vowelJamo, .trailingJamo):
            true
        case (.syllableLVT, .trailingJamo), (.trailingJamo, .trailingJamo): true
        case (_, .extend), (_, .joiner), (_, .spacingMark): true
        case (.prepend, _): true
        default: false
        }
    }
}
