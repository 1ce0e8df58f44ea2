/// A stretch of normalized text between added tokens, cut into pieces.
struct PreTokenizedText {
    private(set) var text: NormalizedText
    /// Byte ranges in the text, ascending, none empty.
    private(set) var pieces: [Range<Int>]

    init(_ text: NormalizedText) {
        self.text = text
        pieces = text.bytes.isEmpty ? [] : [0..<text.bytes.count]
    }

    /// Whether a piece goes back to the very start of the original text.
    func startsAtOrigin(_ piece: Range<Int>) -> Bool {
        piece.lowerBound < text.originLength
    }

    /// Cuts every piece; `body` appends what becomes of one.
    @inline(__always)
    mutating func split(_ body: (UTF8Bytes, Range<Int>, inout [Range<Int>]) -> Void) {
        var result: [Range<Int>] = []
        result.reserveCapacity(pieces.count)
        text.bytes.withUnsafeBufferPointer { bytes in
            for piece in pieces { body(bytes, piece, &result) }
        }
        pieces = result
    }

    /// Cuts every piece at the scalars for which `isDelimiter` holds.
    @inline(__always)
    mutating func split(_ behavior: SplitBehavior, where isDelimiter: (UInt32) -> Bool) {
        split { bytes, piece, result in
            var collector = SplitCollector(behavior, from: piece.lowerBound)
            var index = piece.lowerBound
            while index < piece.upperBound {
                let (scalar, length) = bytes.scalar(at: index)
                if isDelimiter(scalar) { collector.add(delimiter: index..<index + length) }
                index += length
            }
            collector.finish(at: piece.upperBound, into: &result)
        }
    }

    /// Drops the scalars for which `isDelimiter` holds and keeps the runs between them.
    @inline(__always)
    mutating func splitRemoving(where isDelimiter: (UInt32) -> Bool) {
        split { bytes, piece, result in
            var start = piece.lowerBound
            var index = start
            while index < piece.upperBound {
                let (scalar, length) = bytes.scalar(at: index)
                if isDelimiter(scalar) {
                    if start < index { result.append(start..<index) }
                    start = index + length
                }
                index += length
            }
            if start < index { result.append(start..<index) }
        }
    }

    /// Makes every scalar for which `isDelimiter` holds a piece of its own.
    @inline(__always)
    mutating func splitIsolating(where isDelimiter: (UInt32) -> Bool) {
        split { bytes, piece, result in
            var start = piece.lowerBound
            var index = start
            while index < piece.upperBound {
                let (scalar, length) = bytes.scalar(at: index)
                if isDelimiter(scalar) {
                    if start < index { result.append(start..<index) }
                    result.append(index..<index + length)
                    start = index + length
                }
                index += length
            }
            if start < index { result.append(start..<index) }
        }
    }

    /// Rewrites every piece; `body` appends the new bytes of one to the output.
    mutating func rewrite(_ body: (UTF8Bytes, _ startsAtOrigin: Bool, inout [UInt8]) -> Void) {
        var output: [UInt8] = []
        output.reserveCapacity(text.bytes.count + pieces.count * 3)
        var originLength = 0
        let oldOriginLength = text.originLength
        text.bytes.withUnsafeBufferPointer { bytes in
            for index in pieces.indices {
                let piece = pieces[index]
                let start = output.count
                let startsAtOrigin = piece.lowerBound < oldOriginLength
                body(bytes.slice(piece.lowerBound, piece.upperBound), startsAtOrigin, &output)
                pieces[index] = start..<output.count
                if startsAtOrigin { originLength = start + 1 }
            }
        }
        pieces.removeAll { $0.isEmpty }
        text = NormalizedText(bytes: output, originLength: originLength)
    }
}
