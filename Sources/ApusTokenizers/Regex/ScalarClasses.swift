/// A partition of all scalars into classes that no set of a pattern tells apart.
struct ScalarClasses: Sendable {
    /// The number of classes.
    let count: Int
    private let ascii: [UInt8]
    private let pageIndex: [UInt16]
    private let pages: [UInt8]
    /// For each set, whether it holds each class.
    let membership: [[Bool]]

    /// The most classes a pattern may tell apart.
    static let limit = 250

    init(_ sets: [ScalarSet]) throws(RegexFailure) {
        var bounds: [UInt32] = [0, UnicodeTables.scalarLimit]
        for set in sets {
            for range in set.ranges {
                bounds.append(range.lowerBound)
                bounds.append(range.upperBound + 1)
            }
        }
        bounds = Array(Set(bounds)).sorted()
        var cursors = [Int](repeating: 0, count: sets.count)
        var classOfSignature: [[Bool]: UInt8] = [:]
        var signatures: [[Bool]] = []
        var classes = [UInt8](repeating: 0, count: Int(UnicodeTables.scalarLimit))
        for (low, high) in zip(bounds, bounds.dropFirst()) {
            var signature = [Bool](repeating: false, count: sets.count)
            for (index, set) in sets.enumerated() {
                while cursors[index] < set.ranges.count, set.ranges[cursors[index]].upperBound < low {
                    cursors[index] += 1
                }
                signature[index] = cursors[index] < set.ranges.count && set.ranges[cursors[index]].contains(low)
            }
            if classOfSignature[signature] == nil {
                guard signatures.count < Self.limit else {
                    throw RegexFailure(reason: "the pattern tells more than \(Self.limit) classes of characters apart")
                }
                classOfSignature[signature] = UInt8(signatures.count)
                signatures.append(signature)
            }
            let value = classOfSignature[signature] ?? 0
            for scalar in low..<high { classes[Int(scalar)] = value }
        }
        count = signatures.count
        membership = sets.indices.map { set in signatures.map { $0[set] } }
        ascii = Array(classes[..<128])
        (pageIndex, pages) = Self.paged(classes)
    }

    private static func paged(_ classes: [UInt8]) -> ([UInt16], [UInt8]) {
        var pageIndex: [UInt16] = []
        var pages: [UInt8] = []
        var indexOfPage: [[UInt8]: UInt16] = [:]
        for start in stride(from: 0, to: classes.count, by: 256) {
            let page = Array(classes[start..<start + 256])
            let index = indexOfPage[page] ?? UInt16(indexOfPage.count)
            if indexOfPage[page] == nil {
                indexOfPage[page] = index
                pages += page
            }
            pageIndex.append(index)
        }
        return (pageIndex, pages)
    }

    /// - Parameter scalar: any Unicode scalar.
    @inline(__always)
    func classOf(_ scalar: UInt32) -> Int {
        scalar < 128 ? Int(ascii[Int(scalar)]) : Int(pages[Int(pageIndex[Int(scalar >> 8)]) << 8 | Int(scalar & 255)])
    }
}
