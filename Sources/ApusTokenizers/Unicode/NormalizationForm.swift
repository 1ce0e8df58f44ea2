/// A normalization form of UAX #15. Own code, because the standard library's form follows the toolchain's Unicode version.
enum NormalizationForm: String, Sendable {
    case nfc = "NFC"
    case nfd = "NFD"
    case nfkc = "NFKC"
    case nfkd = "NFKD"

    private var isCompatible: Bool { self == .nfkc || self == .nfkd }
    private var composes: Bool { self == .nfc || self == .nfkc }

    /// Appends the normalized text to `output`. Time is linear in the text except for sorting runs of combining marks.
    func normalize(_ text: UTF8Bytes, into output: inout [UInt8]) {
        if text.isASCII {
            output.append(contentsOf: text)
            return
        }
        var scalars: [UInt32] = []
        var classes: [UInt8] = []
        scalars.reserveCapacity(text.count)
        classes.reserveCapacity(text.count)
        decompose(text, &scalars, &classes)
        Self.order(&scalars, &classes)
        if composes { Self.compose(&scalars, &classes) }
        for scalar in scalars { output.append(scalar: scalar) }
    }

    private func decompose(_ text: UTF8Bytes, _ scalars: inout [UInt32], _ classes: inout [UInt8]) {
        let tables = UnicodeTables.shared
        let mapping = isCompatible ? tables.compatible : tables.canonical
        var index = 0
        while index < text.count {
            let (scalar, length) = text.scalar(at: index)
            index += length
            if scalar < 0x80 {
                scalars.append(scalar)
                classes.append(0)
                continue
            }
            if Hangul.isSyllable(scalar) {
                let (leading, vowel, trailing) = Hangul.decomposition(scalar)
                scalars.append(leading)
                scalars.append(vowel)
                classes.append(0)
                classes.append(0)
                if let trailing {
                    scalars.append(trailing)
                    classes.append(0)
                }
                continue
            }
            let properties = tables.properties(of: scalar)
            guard isCompatible ? properties.hasCompatibilityDecomposition : properties.hasCanonicalDecomposition else {
                scalars.append(scalar)
                classes.append(properties.combiningClass)
                continue
            }
            for part in mapping.sequence(of: scalar) {
                scalars.append(part)
                classes.append(tables.properties(of: part).combiningClass)
            }
        }
    }

    /// Puts runs of combining marks in canonical order.
    private static func order(_ scalars: inout [UInt32], _ classes: inout [UInt8]) {
        var start = 0
        while start < scalars.count {
            guard classes[start] != 0 else {
                start += 1
                continue
            }
            var end = start + 1
            var isOrdered = true
            while end < scalars.count, classes[end] != 0 {
                if classes[end] < classes[end - 1] { isOrdered = false }
                end += 1
            }
            if !isOrdered {
                // The position in the key makes the order stable.
                let keys = (start..<end).map { UInt64(classes[$0]) << 56 | UInt64($0) }.sorted()
                let run = keys.map { scalars[Int($0 & 0x00FF_FFFF_FFFF_FFFF)] }
                for (offset, scalar) in run.enumerated() {
                    scalars[start + offset] = scalar
                    classes[start + offset] = UInt8(keys[offset] >> 56)
                }
            }
            start = end
        }
    }

    private static func compose(_ scalars: inout [UInt32], _ classes: inout [UInt8]) {
        let tables = UnicodeTables.shared
        var written = 0
        var starter: Int?
        for read in scalars.indices {
            let scalar = scalars[read]
            let combiningClass = classes[read]
            if let starter, scalar >= 0x80 {
                // Blocked when something of class 0 or of at least the same class stands between.
                let isAdjacent = starter == written - 1
                if isAdjacent || (classes[written - 1] != 0 && classes[written - 1] < combiningClass),
                    let composite = tables.composition(scalars[starter], scalar)
                {
                    scalars[starter] = composite
                    continue
                }
            }
            scalars[written] = scalar
            classes[written] = combiningClass
            if combiningClass == 0 { starter = written }
            written += 1
        }
        scalars.removeSubrange(written...)
        classes.removeSubrange(written...)
    }
}
