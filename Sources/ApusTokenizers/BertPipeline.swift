/// BERT's normalizer, pre-tokenizer and WordPiece in one pass over the text.
///
/// Does what the three do one after the other, without writing the text down in between; ASCII takes one table look-up
/// a byte.
struct BertPipeline: Sendable {
    private let normalizer: BertNormalizer
    private let model: WordPieceModel
    /// For each ASCII byte: the byte it becomes, or one of the marks.
    private let asciiActions: [UInt8]

    /// Set in the action of a byte that is a word of its own.
    private static let punctuation: UInt8 = 0x80
    // The controls NUL and SOH are no words, so with that bit set they are free to mean something else.
    private static let dropped: UInt8 = 0x80
    private static let space: UInt8 = 0x81

    init(normalizer: BertNormalizer, model: WordPieceModel) {
        self.normalizer = normalizer
        self.model = model
        let tables = UnicodeTables.shared
        asciiActions = (0..<128).map { (byte: UInt32) in
            let properties = tables.properties(of: byte)
            if normalizer.cleansText, properties.isControl { return Self.dropped }
            if properties.isWhitespace { return Self.space }
            if properties.isPunctuation { return UInt8(byte) | Self.punctuation }
            return UInt8(normalizer.lowercases && byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte)
        }
    }

    /// The word that is being collected.
    private struct Word {
        var bytes: [UInt8] = []
        var characters = 0

        @inline(__always)
        mutating func flush(_ encoder: WordPieceModel.Encoder, into ids: inout [Int32]) {
            guard characters > 0 else { return }
            bytes.withUnsafeBufferPointer { encoder.encode($0, characters: characters, into: &ids) }
            bytes.removeAll(keepingCapacity: true)
            characters = 0
        }
    }

    func encode(_ text: UTF8Bytes, into ids: inout [Int32]) {
        let mark = ids.count
        let isComplete = model.withEncoder { encoder in
            asciiActions.withUnsafeBufferPointer { actions in
                encode(text, encoder, actions, into: &ids)
            }
        }
        if !isComplete {
            ids.removeSubrange(mark...)
            encodeStepByStep(text, into: &ids)
        }
    }

    /// - Returns: false when the text holds marks whose order normalization may change.
    @inline(__always)
    private func encode(
        _ text: UTF8Bytes, _ encoder: WordPieceModel.Encoder, _ actions: UnsafeBufferPointer<UInt8>,
        into ids: inout [Int32]
    ) -> Bool {
        var word = Word()
        word.bytes.reserveCapacity(64)
        var index = 0
        while index < text.count {
            let byte = text[index]
            guard byte < 0x80 else {
                let (scalar, length) = text.scalar(at: index)
                index += length
                guard append(scalar, to: &word, encoder, &ids) else { return false }
                continue
            }
            index += 1
            let action = actions[Int(byte)]
            if action < 0x80 {
                word.bytes.append(action)
                word.characters += 1
            } else if action == Self.space {
                word.flush(encoder, into: &ids)
            } else if action != Self.dropped {
                word.flush(encoder, into: &ids)
                word.bytes.append(action & 0x7F)
                word.characters = 1
                word.flush(encoder, into: &ids)
            }
        }
        word.flush(encoder, into: &ids)
        return true
    }

    /// Cleans, separates and decomposes one scalar that is not ASCII.
    private func append(
        _ scalar: UInt32, to word: inout Word, _ encoder: WordPieceModel.Encoder, _ ids: inout [Int32]
    ) -> Bool {
        let tables = UnicodeTables.shared
        let properties = tables.properties(of: scalar)
        if normalizer.cleansText {
            if properties.isControl { return true }
            if properties.isWhitespace {
                word.flush(encoder, into: &ids)
                return true
            }
        }
        let isSeparated = normalizer.separatesChinese && BertNormalizer.isChinese(scalar)
        if isSeparated { word.flush(encoder, into: &ids) }
        if !normalizer.stripsAccents {
            appendLowercased(scalar, to: &word, encoder, &ids)
        } else if Hangul.isSyllable(scalar) {
            let (leading, vowel, trailing) = Hangul.decomposition(scalar)
            appendLowercased(leading, to: &word, encoder, &ids)
            appendLowercased(vowel, to: &word, encoder, &ids)
            if let trailing { appendLowercased(trailing, to: &word, encoder, &ids) }
        } else if properties.hasCanonicalDecomposition {
            for part in tables.canonical.sequence(of: scalar) {
                guard appendUnlessMark(part, to: &word, encoder, &ids) else { return false }
            }
        } else {
            guard appendUnlessMark(scalar, to: &word, encoder, &ids) else { return false }
        }
        if isSeparated { word.flush(encoder, into: &ids) }
        return true
    }

    private func appendUnlessMark(
        _ scalar: UInt32, to word: inout Word, _ encoder: WordPieceModel.Encoder, _ ids: inout [Int32]
    ) -> Bool {
        let properties = UnicodeTables.shared.properties(of: scalar)
        if properties.isNonspacingMark { return true }
        guard properties.combiningClass == 0 else { return false }
        appendLowercased(scalar, to: &word, encoder, &ids)
        return true
    }

    private func appendLowercased(
        _ scalar: UInt32, to word: inout Word, _ encoder: WordPieceModel.Encoder, _ ids: inout [Int32]
    ) {
        let tables = UnicodeTables.shared
        if normalizer.lowercases, scalar < 0x80 || tables.properties(of: scalar).hasLowercase {
            if scalar < 0x80 {
                appendToWord(scalar >= 0x41 && scalar <= 0x5A ? scalar | 0x20 : scalar, &word, encoder, &ids)
            } else {
                for lower in tables.lower.sequence(of: scalar) { appendToWord(lower, &word, encoder, &ids) }
            }
        } else {
            appendToWord(scalar, &word, encoder, &ids)
        }
    }

    private func appendToWord(
        _ scalar: UInt32, _ word: inout Word, _ encoder: WordPieceModel.Encoder, _ ids: inout [Int32]
    ) {
        let properties = UnicodeTables.shared.properties(of: scalar)
        if properties.isWhitespace {
            word.flush(encoder, into: &ids)
        } else if properties.isPunctuation {
            word.flush(encoder, into: &ids)
            word.bytes.append(scalar: scalar)
            word.characters = 1
            word.flush(encoder, into: &ids)
        } else {
            word.bytes.append(scalar: scalar)
            word.characters += 1
        }
    }

    private func encodeStepByStep(_ text: UTF8Bytes, into ids: inout [Int32]) {
        var normalized = NormalizedText(bytes: Array(text), originLength: 0)
        normalizer.apply(to: &normalized)
        var words = PreTokenizedText(normalized)
        PreTokenizer.bert.apply(to: &words, spellsBytes: true)
        words.text.bytes.withUnsafeBufferPointer { bytes in
            for piece in words.pieces { model.encode(bytes.slice(piece.lowerBound, piece.upperBound), into: &ids) }
        }
    }
}
