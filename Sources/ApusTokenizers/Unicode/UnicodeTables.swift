internal import CApusUnicode

/// The generated Unicode tables, as Python's `tokenizers` sees them; not the ones of the Swift standard library, whose
/// version changes with the toolchain and would change ids with it.
struct UnicodeTables: @unchecked Sendable {
    /// The tables are constants of the program, which is why sharing the pointers is safe.
    static let shared = UnicodeTables(apus_unicode().pointee)

    private let records: UnsafePointer<UInt32>
    private let pageIndex: UnsafePointer<UInt16>
    private let pages: UnsafePointer<UInt8>
    let canonical: ScalarMapping
    let compatible: ScalarMapping
    let lower: ScalarMapping
    private let compositionKeys: UnsafeBufferPointer<UInt64>
    private let compositionValues: UnsafePointer<UInt32>
    private let scripts: UnsafeBufferPointer<apus_unicode_script>

    static let scalarLimit: UInt32 = 0x11_0000

    private init(_ tables: apus_unicode_tables) {
        records = tables.records
        pageIndex = tables.page_index
        pages = tables.pages
        canonical = ScalarMapping(tables.canonical)
        compatible = ScalarMapping(tables.compatible)
        lower = ScalarMapping(tables.lower)
        compositionKeys = UnsafeBufferPointer(start: tables.composition_keys, count: Int(tables.composition_count))
        compositionValues = tables.composition_values
        scripts = UnsafeBufferPointer(start: tables.scripts, count: Int(tables.script_count))
    }

    /// - Parameter scalar: a Unicode scalar; anything above the last one has the properties of an unassigned scalar.
    @inline(__always)
    func properties(of scalar: UInt32) -> ScalarProperties {
        guard scalar < Self.scalarLimit else { return ScalarProperties(rawValue: 0) }
        let page = Int(pageIndex[Int(scalar >> 7)])
        return ScalarProperties(rawValue: records[Int(pages[page << 7 | Int(scalar & 127)])])
    }

    /// What `first` and `second` compose to canonically, Hangul included.
    func composition(_ first: UInt32, _ second: UInt32) -> UInt32? {
        if let syllable = Hangul.composition(first, second) { return syllable }
        let key = UInt64(first) << 32 | UInt64(second)
        let position = compositionKeys.partitioningIndex { $0 >= key }
        guard position < compositionKeys.count, compositionKeys[position] == key else { return nil }
        return compositionValues[position]
    }

    /// The closed ranges of a script, or nil for a script without a table.
    func scriptRanges(named name: String) -> [ClosedRange<UInt32>]? {
        for script in scripts where String(cString: script.name) == name {
            return (0..<Int(script.count)).map { script.ranges[2 * $0]...script.ranges[2 * $0 + 1] }
        }
        return nil
    }
}

/// Scalars that map to sequences of scalars.
struct ScalarMapping: @unchecked Sendable {
    private let keys: UnsafeBufferPointer<UInt32>
    private let offsets: UnsafePointer<UInt16>
    private let scalars: UnsafePointer<UInt32>

    fileprivate init(_ mapping: apus_unicode_mapping) {
        keys = UnsafeBufferPointer(start: mapping.keys, count: Int(mapping.count))
        offsets = mapping.offsets
        scalars = mapping.scalars
    }

    /// The sequence of `scalar`, or an empty one when it maps to itself.
    @inline(__always)
    func sequence(of scalar: UInt32) -> UnsafeBufferPointer<UInt32> {
        let position = keys.partitioningIndex { $0 >= scalar }
        guard position < keys.count, keys[position] == scalar else { return UnsafeBufferPointer(start: nil, count: 0) }
        let start = Int(offsets[position])
        return UnsafeBufferPointer(start: scalars + start, count: Int(offsets[position + 1]) - start)
    }
}

extension UnsafeBufferPointer {
    /// The first index for which `belongs` holds, in a collection where it holds from some index on.
    @inline(__always)
    fileprivate func partitioningIndex(_ belongs: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) >> 1
            if belongs(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
