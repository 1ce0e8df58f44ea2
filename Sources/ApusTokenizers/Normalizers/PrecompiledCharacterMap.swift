/// A character map of sentencepiece: replacements found by a Darts double-array trie.
///
/// Applied as `tokenizers` applies it: a grapheme cluster of fewer than six bytes is replaced whole when the trie has
/// any prefix of it, and otherwise each of its characters is looked up.
struct PrecompiledCharacterMap: Sendable {
    private let units: [UInt32]
    /// Replacements, each ended by a zero byte.
    private let replacements: [UInt8]

    private static let clusterLimit = 6

    /// - Parameter blob: the length of the trie in bytes (little endian, 32 bits), the trie, the replacements.
    /// - Returns: nil for a blob that does not hold together: a length out of range, a trie that leads outside
    ///   itself or the replacements, replacements that are not UTF-8.
    init?(_ blob: [UInt8]) {
        guard blob.count >= 4 else { return nil }
        func word(at offset: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(blob[offset + $1]) << (8 * UInt32($1)) }
        }
        let trieLength = Int(word(at: 0))
        guard trieLength > 0, trieLength % 4 == 0, trieLength <= blob.count - 4 else { return nil }
        units = stride(from: 4, to: 4 + trieLength, by: 4).map(word)
        replacements = Array(blob[(4 + trieLength)...])
        guard String(validating: replacements, as: UTF8.self) != nil, isSound else { return nil }
    }

    @inline(__always) private static func offset(_ unit: UInt32) -> Int { Int((unit >> 10) << ((unit & 0x200) >> 6)) }
    @inline(__always) private static func label(_ unit: UInt32) -> UInt32 { unit & 0x8000_00FF }
    @inline(__always) private static func hasLeaf(_ unit: UInt32) -> Bool { unit >> 8 & 1 == 1 }
    @inline(__always) private static func value(_ unit: UInt32) -> Int { Int(unit & 0x7FFF_FFFF) }

    /// Whether every node that a walk can reach has its children and its value in range.
    private var isSound: Bool {
        var isVisited = [Bool](repeating: false, count: units.count)
        var pending = [Self.offset(units[0])]
        while let base = pending.popLast() {
            for byte in 1...255 {
                let position = base ^ byte
                guard position < units.count else { return false }
                let unit = units[position]
                guard Self.label(unit) == UInt32(byte), !isVisited[position] else { continue }
                isVisited[position] = true
                let child = position ^ Self.offset(unit)
                if Self.hasLeaf(unit) {
                    guard child < units.count, startsReplacement(Self.value(units[child])) else { return false }
                }
                pending.append(child)
            }
        }
        return true
    }

    /// Whether a replacement may start at `offset`: inside, and not in the middle of a character.
    private func startsReplacement(_ offset: Int) -> Bool {
        offset < replacements.count ? replacements[offset] & 0xC0 != 0x80 : offset == replacements.count
    }

    /// The range of the replacement for the shortest prefix of `text` that has one.
    private func replacement(for text: UTF8Bytes) -> Range<Int>? {
        var position = Self.offset(units[0])
        for byte in text {
            guard byte != 0 else { return nil }
            position ^= Int(byte)
            guard position < units.count else { return nil }
            let unit = units[position]
            guard Self.label(unit) == UInt32(byte) else { return nil }
            position ^= Self.offset(unit)
            if Self.hasLeaf(unit) {
                guard position < units.count else { return nil }
                let start = Self.value(units[position])
                var end = start
                while end < replacements.count, replacements[end] != 0 { end += 1 }
                return start..<max(start, end)
            }
        }
        return nil
    }

    func apply(to text: inout NormalizedText) {
        var output: [UInt8] = []
        output.reserveCapacity(text.bytes.count + 8)
        let oldOriginLength = text.originLength
        var originLength = 0
        text.bytes.withUnsafeBufferPointer { bytes in
            var index = 0
            while index < bytes.count {
                let end = Self.clusterEnd(bytes, from: index)
                append(bytes, index, end, to: &output)
                index = end
                if originLength == 0, oldOriginLength > 0, index >= oldOriginLength { originLength = output.count }
            }
        }
        text.bytes = output
        text.originLength = originLength
    }

    /// Nearly all clusters are one ASCII character before another; those need no tables.
    @inline(__always)
    private static func clusterEnd(_ bytes: UTF8Bytes, from start: Int) -> Int {
        if bytes[start] < 0x80, bytes[start] != 0x0D, start + 1 == bytes.count || bytes[start + 1] < 0x80 {
            return start + 1
        }
        return GraphemeClusters.end(of: bytes, from: start)
    }

    private func append(_ bytes: UTF8Bytes, _ start: Int, _ end: Int, to output: inout [UInt8]) {
        if end - start < Self.clusterLimit, let range = replacement(for: bytes.slice(start, end)) {
            output.append(contentsOf: replacements[range])
            return
        }
        var index = start
        while index < end {
            let next = index + UTF8Length.ofScalar(startingWith: bytes[index])
            if let range = replacement(for: bytes.slice(index, next)) {
                output.append(contentsOf: replacements[range])
            } else {
                output.append(contentsOf: bytes[index..<next])
            }
            index = next
        }
    }
}
