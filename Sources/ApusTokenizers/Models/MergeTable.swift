/// The merges of a byte-pair encoding: pairs of ids with their rank and the id they become.
struct MergeTable: Sendable {
    struct Merge {
        /// Lower ranks merge first.
        var rank: Int32
        var id: Int32
    }

    fileprivate struct Slot {
        var pair: UInt64 = .max
        var merge = Merge(rank: -1, id: -1)
    }

    private var slots: [Slot]

    /// - Parameter capacity: the most merges that will be inserted.
    init(capacity: Int) {
        var count = 16
        while count < capacity &* 2 { count <<= 1 }
        slots = [Slot](repeating: Slot(), count: count)
    }

    @inline(__always)
    private static func pair(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    /// Fibonacci hashing; the high bits are the well mixed ones.
    @inline(__always)
    private static func slot(_ pair: UInt64, mask: Int) -> Int {
        Int(truncatingIfNeeded: (pair &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
    }

    /// A pair that is already there takes the new merge.
    mutating func insert(_ left: Int32, _ right: Int32, _ merge: Merge) {
        let pair = Self.pair(left, right)
        let mask = slots.count - 1
        var slot = Self.slot(pair, mask: mask)
        while slots[slot].pair != .max, slots[slot].pair != pair { slot = (slot + 1) & mask }
        slots[slot] = Slot(pair: pair, merge: merge)
    }

    @inline(__always)
    func withLookup<Result>(_ body: (Lookup) -> Result) -> Result {
        slots.withUnsafeBufferPointer { body(Lookup(slots: $0)) }
    }

    struct Lookup {
        fileprivate let slots: UnsafeBufferPointer<Slot>

        @inline(__always)
        func merge(_ left: Int32, _ right: Int32) -> Merge? {
            let pair = MergeTable.pair(left, right)
            let mask = slots.count - 1
            var slot = MergeTable.slot(pair, mask: mask)
            while slots[slot].pair != pair {
                if slots[slot].pair == .max { return nil }
                slot = (slot + 1) & mask
            }
            return slots[slot].merge
        }
    }
}
