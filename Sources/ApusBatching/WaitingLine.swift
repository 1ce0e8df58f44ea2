/// Items waiting to run, by age and by length.
///
/// Items stand in buckets of similar length, each in order of arrival. Taking a batch looks at one bucket after the other
/// and costs the size of the batch plus the number of buckets, whatever is waiting.
struct WaitingLine: Sendable {
    /// Lengths are told apart in steps of this many tokens: padding of less is not worth a search.
    private static let bucketWidth = 8
    /// Everything longer shares the last bucket.
    private static let bucketCount = 129

    private struct Entry {
        var item: BatchPlanner.Item
        /// Order of arrival.
        var ticket: Int
    }

    /// First in, first out, with the holes that removals leave.
    private struct Bucket {
        var entries: [Entry?] = []
        var head = 0

        var first: Entry? { head < entries.count ? entries[head] : nil }

        mutating func skipHoles() {
            while head < entries.count, entries[head] == nil { head += 1 }
            if head == entries.count {
                entries.removeAll(keepingCapacity: true)
                head = 0
            } else if head > 1024, head > entries.count / 2 {
                entries.removeFirst(head)
                head = 0
            }
        }
    }

    private(set) var count = 0
    private(set) var tokens = 0
    private var buckets = [Bucket](repeating: Bucket(), count: bucketCount)
    private var nextTicket = 0
    /// Deadlines exist for few items; only they are looked through.
    private var deadlines: [Int: (deadline: Int, bucket: Int)] = [:]
    private var bucketOf: [Int: Int] = [:]

    mutating func append(_ item: BatchPlanner.Item) {
        let bucket = min(max(item.tokens, 0) / Self.bucketWidth, Self.bucketCount - 1)
        buckets[bucket].entries.append(Entry(item: item, ticket: nextTicket))
        bucketOf[item.id] = bucket
        if let deadline = item.deadline { deadlines[item.id] = (deadline, bucket) }
        nextTicket += 1
        count += 1
        tokens += item.tokens
    }

    /// Removes one item; false when it does not wait (any more).
    mutating func remove(_ id: Int) -> Bool {
        guard let bucket = bucketOf[id],
            let index = buckets[bucket].entries.firstIndex(where: { $0?.item.id == id }),
            let entry = buckets[bucket].entries[index]
        else { return false }
        buckets[bucket].entries[index] = nil
        buckets[bucket].skipHoles()
        forget(entry.item)
        return true
    }

    mutating func removeExpired(now: Int) -> [Int] {
        let expired = deadlines.filter { $0.value.deadline <= now }.map(\.key).sorted()
        return expired.filter { remove($0) }
    }

    /// Takes the oldest item and then, as long as they fit, those nearest to it in length, oldest first within a length.
    mutating func takeBatch(tokenBudget: Int, maxCount: Int) -> [Int] {
        guard let oldest = buckets.indices
            .compactMap({ index in buckets[index].first.map { (index, $0.ticket) } })
            .min(by: { $0.1 < $1.1 })?.0
        else { return [] }
        var ids: [Int] = []
        var budget = tokenBudget
        for bucket in Self.nearest(to: oldest) {
            while ids.count < maxCount, let entry = buckets[bucket].first, ids.isEmpty || entry.item.tokens <= budget {
                buckets[bucket].entries[buckets[bucket].head] = nil
                buckets[bucket].skipHoles()
                forget(entry.item)
                ids.append(entry.item.id)
                budget -= entry.item.tokens
            }
            if ids.count == maxCount || budget <= 0 { break }
        }
        return ids
    }

    private mutating func forget(_ item: BatchPlanner.Item) {
        bucketOf[item.id] = nil
        deadlines[item.id] = nil
        count -= 1
        tokens -= item.tokens
    }

    /// All buckets by distance from `bucket`, the longer of two equally near ones first.
    private static func nearest(to bucket: Int) -> [Int] {
        var order = [bucket]
        order.reserveCapacity(bucketCount)
        for distance in 1..<bucketCount {
            if bucket + distance < bucketCount { order.append(bucket + distance) }
            if bucket - distance >= 0 { order.append(bucket - distance) }
        }
        return order
    }
}
