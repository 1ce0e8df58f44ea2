/// A normalizer of `tokenizer.json`.
enum Normalizer: Sendable {
    case bert(BertNormalizer)
    case form(NormalizationForm)
    case lowercase
    case strip(left: Bool, right: Bool)
    case stripAccents
    case nmt
    case replace(TextPattern, content: [UInt8])
    case prepend([UInt8])
    case precompiled(PrecompiledCharacterMap)
    case byteLevel
    case sequence([Normalizer])

    func apply(to text: inout NormalizedText) {
        switch self {
        case .sequence(let normalizers):
            for normalizer in normalizers { normalizer.apply(to: &text) }
        case .bert(let normalizer):
            normalizer.apply(to: &text)
        case .form(let form):
            Self.apply(form, to: &text)
        case .lowercase:
            Self.mapScalars(&text) { scalar, output in Self.appendLowercase(scalar, &output) }
        case .stripAccents:
            let tables = UnicodeTables.shared
            Self.mapScalars(&text) { scalar, output in
                if !tables.properties(of: scalar).isCombiningMark { output.append(scalar: scalar) }
            }
        case .nmt:
            Self.mapScalars(&text, Self.appendNmt)
        case .byteLevel:
            Self.spellBytes(&text)
        case .strip(let left, let right):
            Self.strip(&text, left: left, right: right)
        case .replace(let pattern, let content):
            Self.replace(&text, pattern, content)
        case .prepend(let prefix):
            guard !text.bytes.isEmpty else { return }
            text.bytes.insert(contentsOf: prefix, at: 0)
            if text.originLength > 0 { text.originLength += prefix.count }
        case .precompiled(let map):
            map.apply(to: &text)
        }
    }

    /// Rewrites the text scalar by scalar.
    @inline(__always)
    static func mapScalars(_ text: inout NormalizedText, _ append: (UInt32, inout [UInt8]) -> Void) {
        var output: [UInt8] = []
        output.reserveCapacity(text.bytes.count + 8)
        var originLength = 0
        let oldOriginLength = text.originLength
        text.bytes.withUnsafeBufferPointer { bytes in
            var index = 0
            while index < bytes.count {
                let (scalar, length) = bytes.scalar(at: index)
                append(scalar, &output)
                index += length
                if index == oldOriginLength { originLength = output.count }
            }
        }
        text.bytes = output
        text.originLength = originLength
    }

    static func appendLowercase(_ scalar: UInt32, _ output: inout [UInt8]) {
        if scalar < 0x80 {
            output.append(UInt8(scalar >= 0x41 && scalar <= 0x5A ? scalar | 0x20 : scalar))
            return
        }
        let tables = UnicodeTables.shared
        guard tables.properties(of: scalar).hasLowercase else {
            output.append(scalar: scalar)
            return
        }
        for lower in tables.lower.sequence(of: scalar) { output.append(scalar: lower) }
    }

    private static func spellBytes(_ text: inout NormalizedText) {
        var output: [UInt8] = []
        output.reserveCapacity(text.bytes.count * 2)
        var originLength = 0
        text.bytes.withUnsafeBufferPointer { bytes in
            ByteLevelAlphabet.spell(bytes.slice(0, text.originLength), into: &output)
            originLength = output.count
            ByteLevelAlphabet.spell(bytes.slice(text.originLength, bytes.count), into: &output)
        }
        text = NormalizedText(bytes: output, originLength: originLength)
    }

    private static func apply(_ form: NormalizationForm, to text: inout NormalizedText) {
        var output: [UInt8] = []
        output.reserveCapacity(text.bytes.count + 8)
        var originLength = 0
        text.bytes.withUnsafeBufferPointer { bytes in
            form.normalize(bytes, into: &output)
            guard text.originLength > 0 else { return }
            var prefix: [UInt8] = []
            form.normalize(bytes.slice(0, text.originLength), into: &prefix)
            // The first character composed of the origin and what follows goes back to the origin too.
            let first = output.first.map { UTF8Length.ofScalar(startingWith: $0) } ?? 0
            originLength = min(output.count, max(first, prefix.count))
        }
        text.bytes = output
        text.originLength = originLength
    }

    /// The character table of sentencepiece's `nmt` rules: controls go, odd spaces become plain ones.
    private static func appendNmt(_ scalar: UInt32, _ output: inout [UInt8]) {
        switch scalar {
        case 0x01...0x08, 0x0B, 0x0E...0x1F, 0x7F, 0x8F, 0x9F:
            return
        case 0x09, 0x0A, 0x0C, 0x0D, 0x1680, 0x200B...0x200F, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD:
            output.append(0x20)
        default:
            output.append(scalar: scalar)
        }
    }

    private static func strip(_ text: inout NormalizedText, left: Bool, right: Bool) {
        let tables = UnicodeTables.shared
        let (start, end) = text.bytes.withUnsafeBufferPointer { bytes in
            var start = 0
            var end = bytes.count
            while left, start < end {
                let (scalar, length) = bytes.scalar(at: start)
                guard tables.properties(of: scalar).isWhitespace else { break }
                start += length
            }
            while right, end > start {
                let before = bytes.start(ofScalarBefore: end)
                guard tables.properties(of: bytes.scalar(at: before).value).isWhitespace else { break }
                end = before
            }
            return (start, end)
        }
        guard start > 0 || end < text.bytes.count else { return }
        text.bytes = Array(text.bytes[start..<end])
        text.originLength = min(max(text.originLength - start, 0), text.bytes.count)
    }

    private static func replace(_ text: inout NormalizedText, _ pattern: TextPattern, _ content: [UInt8]) {
        var output: [UInt8] = []
        output.reserveCapacity(text.bytes.count + 8)
        var originLength = text.originLength
        var copied = 0
        text.bytes.withUnsafeBufferPointer { bytes in
            pattern.forEachMatch(in: bytes) { start, end in
                output.append(contentsOf: bytes[copied..<start])
                output.append(contentsOf: content)
                copied = end
                // What is put in goes back to where the last replaced byte came from.
                if start < text.originLength {
                    originLength =
                        end <= text.originLength
                        ? text.originLength + output.count - end : output.count - content.count
                }
            }
            output.append(contentsOf: bytes[copied...])
        }
        guard copied > 0 || output.count != text.bytes.count else { return }
        text.bytes = output
        text.originLength = min(max(originLength, 0), output.count)
    }
}
