/// Spaces as a visible character, by convention "▁", which also starts every word.
struct Metaspace: Sendable {
    enum PrependScheme: String, Sendable {
        case always, first, never
    }

    let replacement: UInt32
    let scheme: PrependScheme
    let splits: Bool

    func apply(to text: inout PreTokenizedText) {
        var mark: [UInt8] = []
        mark.append(scalar: replacement)
        text.rewrite { piece, startsAtOrigin, output in
            let isMarked = piece.first == 0x20 || piece.starts(withBytes: mark)
            let prepends = scheme == .always || (scheme == .first && startsAtOrigin)
            if prepends, !isMarked { output += mark }
            for byte in piece {
                if byte == 0x20 { output += mark } else { output.append(byte) }
            }
        }
        guard splits else { return }
        text.split { bytes, piece, result in
            // A run of marks: each is a piece, and the last one goes with what follows.
            var start = piece.lowerBound
            var index = start
            while index < piece.upperBound {
                let (scalar, length) = bytes.scalar(at: index)
                if scalar == replacement, index > start {
                    result.append(start..<index)
                    start = index
                }
                index += length
            }
            result.append(start..<piece.upperBound)
        }
    }
}
