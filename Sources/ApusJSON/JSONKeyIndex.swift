/// An open-addressing hash table from keys to positions in an entry list.
///
/// A `Dictionary<String, Int>` would compare keys by canonical equivalence and keep a second copy of every key. The hash is the
/// standard library's, seeded at random in every process, so that chosen keys cannot be made to collide.
struct JSONKeyIndex: Sendable {
    /// 0 for a free slot, else the key's hash in the upper and position + 1 in the lower 32 bits. The size is a power of two.
    private var slots = [UInt64](repeating: 0, count: 64)
    private var count = 0

    static func hash(_ key: String) -> UInt32 {
        var hasher = Hasher()
        let contiguous: Void? = key.utf8.withContiguousStorageIfAvailable {
            hasher.combine(bytes: UnsafeRawBufferPointer($0))
        }
        if contiguous == nil {
            for byte in key.utf8 { hasher.combine(byte) }
        }
        return UInt32(truncatingIfNeeded: hasher.finalize())
    }

    /// The position of the key with this hash that `isSame` accepts.
    func find(hash: UInt32, _ isSame: (Int) -> Bool) -> Int? {
        let mask = slots.count - 1
        var slot = Int(hash) & mask
        while slots[slot] != 0 {
            if UInt32(truncatingIfNeeded: slots[slot] >> 32) == hash {
                let position = Int(slots[slot] & 0xFFFF_FFFF) - 1
                if isSame(position) { return position }
            }
            slot = (slot + 1) & mask
        }
        return nil
    }

    /// Adds `position` (below 2^32 - 1) under `hash`.
    /// - Returns: false when a key that `isSame` accepts is already there, or the table is full.
    mutating func insert(_ position: Int, hash: UInt32, _ isSame: (Int) -> Bool) -> Bool {
        guard position < Int(UInt32.max) else { return false }
        let mask = slots.count - 1
        var slot = Int(hash) & mask
        while slots[slot] != 0 {
            if UInt32(truncatingIfNeeded: slots[slot] >> 32) == hash, isSame(Int(slots[slot] & 0xFFFF_FFFF) - 1) {
                return false
            }
            slot = (slot + 1) & mask
        }
        slots[slot] = UInt64(hash) << 32 | UInt64(position + 1)
        count += 1
        if count * 2 > slots.count { grow() }
        return true
    }

    private mutating func grow() {
        var larger = [UInt64](repeating: 0, count: slots.count * 4)
        let mask = larger.count - 1
        for entry in slots where entry != 0 {
            var slot = Int(entry >> 32) & mask
            while larger[slot] != 0 { slot = (slot + 1) & mask }
            larger[slot] = entry
        }
        slots = larger
    }
}
