/// A set of Unicode scalars as ascending, disjoint, non-adjacent closed ranges.
struct ScalarSet: Hashable, Sendable {
    private(set) var ranges: [ClosedRange<UInt32>]

    static let everything = ScalarSet([0...UnicodeTables.scalarLimit - 1])

    init(_ ranges: [ClosedRange<UInt32>]) {
        var merged: [ClosedRange<UInt32>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = merged.last, range.lowerBound <= last.upperBound + 1 {
                merged[merged.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                merged.append(range)
            }
        }
        self.ranges = merged
    }

    init(_ scalar: UInt32) {
        ranges = [scalar...scalar]
    }

    init(ascii characters: String) {
        self.init(characters.unicodeScalars.map { $0.value...$0.value })
    }

    /// All scalars whose properties satisfy `belongs`.
    init(where belongs: (ScalarProperties) -> Bool) {
        let tables = UnicodeTables.shared
        var ranges: [ClosedRange<UInt32>] = []
        var start: UInt32?
        for scalar in 0..<UnicodeTables.scalarLimit {
            if belongs(tables.properties(of: scalar)) {
                if start == nil { start = scalar }
            } else if let first = start {
                ranges.append(first...scalar - 1)
                start = nil
            }
        }
        if let start { ranges.append(start...UnicodeTables.scalarLimit - 1) }
        self.ranges = ranges
    }

    var isEmpty: Bool { ranges.isEmpty }

    func contains(_ scalar: UInt32) -> Bool {
        ranges.contains { $0.contains(scalar) }
    }

    func union(_ other: ScalarSet) -> ScalarSet {
        ScalarSet(ranges + other.ranges)
    }

    var inverted: ScalarSet {
        var gaps: [ClosedRange<UInt32>] = []
        var next: UInt32 = 0
        for range in ranges {
            if range.lowerBound > next { gaps.append(next...range.lowerBound - 1) }
            next = range.upperBound + 1
        }
        if next < UnicodeTables.scalarLimit { gaps.append(next...UnicodeTables.scalarLimit - 1) }
        return ScalarSet(gaps)
    }

    func intersection(_ other: ScalarSet) -> ScalarSet {
        inverted.union(other.inverted).inverted
    }
}

extension ScalarSet {
    static let newline = ScalarSet(0x0A)
    static let space = ScalarSet(where: \.isSpaceOfPatterns)
    static let word = ScalarSet(where: \.isWordOfPatterns)
    static let hexadecimalDigit = ScalarSet([0x30...0x39, 0x41...0x46, 0x61...0x66])

    /// `\p{name}` for general categories, their groups, and scripts; nil for a name without a table.
    static func property(named name: String) -> ScalarSet? {
        let longNames = [
            "Letter": "L", "Mark": "M", "Number": "N", "Punctuation": "P", "Symbol": "S", "Separator": "Z", "Other": "C",
        ]
        let short = longNames[name] ?? name
        if name == "Any" { return .everything }
        let members = GeneralCategory.names.indices.filter {
            GeneralCategory.names[$0] == short || (short.utf8.count == 1 && GeneralCategory.names[$0].hasPrefix(short))
        }
        if !members.isEmpty {
            return ScalarSet { members.contains($0.category) }
        }
        return UnicodeTables.shared.scriptRanges(named: name).map(ScalarSet.init)
    }
}
