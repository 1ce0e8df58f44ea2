/// Tokens and their ids, both ways. Tokens are compared by their bytes.
struct Vocabulary: Sendable {
    private var storage: [UInt8] = []
    private var offsets: [Int] = [0]
    private var ids: [Int32] = []
    /// Entries by hash; -1 for a free slot. The count is a power of two.
    private var slots: [Int32] = []
    /// Entries by id; -1 for an id without a token.
    private var entryOfID: [Int32] = []

    /// One more than the highest id that is accepted. No vocabulary comes near; a table is made as long as the ids go.
    static let idLimit = 1 << 24

    init(minimumCapacity: Int = 0) {
        var count = 16
        while count < minimumCapacity &* 2 { count <<= 1 }
        slots = [Int32](repeating: -1, count: count)
        ids.reserveCapacity(minimumCapacity)
        offsets.reserveCapacity(minimumCapacity + 1)
    }

    /// The number of different tokens.
    var count: Int { ids.count }
    /// One more than the highest id.
    var idBound: Int { entryOfID.count }

    /// Adds a token. An earlier equal token gives way: its id stays with its bytes but is no longer found by them.
    /// - Parameter id: at least 0 and below ``idLimit``.
    /// - Returns: false, and nothing is added, when `id` already has a token.
    mutating func insert(_ token: some Collection<UInt8>, id: Int) -> Bool {
        if id >= entryOfID.count {
            entryOfID.append(contentsOf: repeatElement(-1, count: id + 1 - entryOfID.count))
        }
        guard entryOfID[id] < 0 else { return false }
        if ids.count * 2 >= slots.count { grow() }
        let start = storage.count
        storage.append(contentsOf: token)
        let entry = ids.count
        entryOfID[id] = Int32(entry)
        ids.append(Int32(id))
        offsets.append(storage.count)
        let slot = storage.withUnsafeBufferPointer { self.slot(of: UTF8Bytes(rebasing: $0[start...])) }
        slots[slot] = Int32(entry)
        return true
    }

    private mutating func grow() {
        var larger = [Int32](repeating: -1, count: slots.count * 2)
        let mask = larger.count - 1
        for entry in slots where entry >= 0 {
            let hash = withBytes(ofEntry: Int(entry), Self.hash)
            var slot = hash & mask
            while larger[slot] >= 0 { slot = (slot + 1) & mask }
            larger[slot] = entry
        }
        slots = larger
    }

    /// The slot that holds `token`, or the free one where it belongs.
    @inline(__always)
    private func slot(of token: UTF8Bytes) -> Int {
        let mask = slots.count - 1
        var slot = Self.hash(token) & mask
        while true {
            let entry = Int(slots[slot])
            if entry < 0 || withBytes(ofEntry: entry, { $0.elementsEqual(token) }) { return slot }
            slot = (slot + 1) & mask
        }
    }

    @inline(__always)
    private func withBytes<Result>(ofEntry entry: Int, _ body: (UTF8Bytes) -> Result) -> Result {
        storage.withUnsafeBufferPointer { body($0.slice(offsets[entry], offsets[entry + 1])) }
    }

    /// FNV-1a.
    private static func hash(_ bytes: UTF8Bytes) -> Int {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return Int(truncatingIfNeeded: (hash ^ hash >> 32) & 0x7FFF_FFFF)
    }

    func id(of token: UTF8Bytes) -> Int32? {
        let entry = slots[slot(of: token)]
        return entry < 0 ? nil : ids[Int(entry)]
    }

    func id(of token: [UInt8]) -> Int32? {
        token.withUnsafeBufferPointer { id(of: $0) }
    }

    func id(of token: String) -> Int32? {
        id(of: Array(token.utf8))
    }

    func token(of id: Int32) -> ArraySlice<UInt8>? {
        guard id >= 0, Int(id) < entryOfID.count, entryOfID[Int(id)] >= 0 else { return nil }
        let entry = Int(entryOfID[Int(id)])
        return storage[offsets[entry]..<offsets[entry + 1]]
    }

    /// All tokens that are found by their bytes, in the order in which they came.
    var entries: [(bytes: ArraySlice<UInt8>, value: Int32)] {
        var isCurrent = [Bool](repeating: false, count: ids.count)
        for entry in slots where entry >= 0 { isCurrent[Int(entry)] = true }
        return ids.indices.lazy.filter { isCurrent[$0] }.map {
            (storage[offsets[$0]..<offsets[$0 + 1]], ids[$0])
        }
    }
}
