import HeapModule

/// Waiting items by length: heaps of similar lengths, and a bit for each that holds something.
///
/// What left stays in its heap until it comes to the top or outnumbers the rest, so removing costs nothing.
struct LengthBuckets: Sendable {
    /// Below this every length has a bucket of its own.
    private static let exact = 64
    /// Buckets per doubling above: padding within one is at most 3 % of a length.
    private static let steps = 32
    private static let doublings = 10
    static let count = exact + steps * doublings

    private struct Bucket: Sendable {
        var heap = Heap<Rank>()
        var live = 0
    }

    private var buckets = [Bucket](repeating: Bucket(), count: count)
    private var occupied = [UInt64](repeating: 0, count: (count + 63) / 64)

    static func index(_ tokens: Int) -> Int {
        guard tokens >= exact else { return max(tokens, 0) }
        let doubling = Int.bitWidth - 1 - tokens.leadingZeroBitCount
        let step = (tokens >> (doubling - 5)) & (steps - 1)
        return min(exact + (doubling - 6) * steps + step, count - 1)
    }

    /// Puts an item of `items` into `bucket` by its start tag.
    mutating func insert(_ rank: Rank, at bucket: Int, of items: [Int: WaitingItem]) {
        if buckets[bucket].heap.count > 64, buckets[bucket].heap.count > 2 * buckets[bucket].live {
            buckets[bucket].heap = Heap(buckets[bucket].heap.unordered.filter { $0.isTag(in: items) })
        }
        buckets[bucket].heap.insert(rank)
        buckets[bucket].live += 1
        occupied[bucket / 64] |= 1 << UInt64(bucket % 64)
    }

    /// An item of `bucket` left the line.
    mutating func forget(_ bucket: Int) {
        buckets[bucket].live -= 1
        guard buckets[bucket].live == 0 else { return }
        buckets[bucket].heap = Heap()
        occupied[bucket / 64] &= ~(1 << UInt64(bucket % 64))
    }

    /// The first item of a bucket in the order of start tags.
    mutating func first(_ bucket: Int, of items: [Int: WaitingItem]) -> BatchPlanner.Item? {
        while let rank = buckets[bucket].heap.min {
            if let waiting = items[rank.id], rank.isTag(in: items) { return waiting.item }
            buckets[bucket].heap.removeMin()
        }
        return nil
    }

    /// The nearest bucket at or above `bucket` that holds something.
    func occupied(atOrAbove bucket: Int) -> Int? {
        guard bucket < Self.count else { return nil }
        var word = bucket / 64
        var bits = occupied[word] & (~0 << UInt64(bucket % 64))
        while bits == 0 {
            word += 1
            guard word < occupied.count else { return nil }
            bits = occupied[word]
        }
        return word * 64 + bits.trailingZeroBitCount
    }

    /// The nearest bucket below `bucket` that holds something.
    func occupied(below bucket: Int) -> Int? {
        guard bucket > 0 else { return nil }
        var word = (bucket - 1) / 64
        var bits = occupied[word] & (~0 >> UInt64(63 - (bucket - 1) % 64))
        while bits == 0 {
            guard word > 0 else { return nil }
            word -= 1
            bits = occupied[word]
        }
        return word * 64 + 63 - bits.leadingZeroBitCount
    }
}
