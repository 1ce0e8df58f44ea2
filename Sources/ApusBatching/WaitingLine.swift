import HeapModule

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

        /// Where the entry of `ticket` stands; entries are in the order of their tickets and holes have none.
        func index(of ticket: Int) -> Int? {
            var (low, high) = (head, entries.count)
            while low < high {
                var middle = (low + high) / 2
                while middle < high, entries[middle] == nil { middle += 1 }
                guard middle < high, let entry = entries[middle] else {
                    high = (low + high) / 2
                    continue
                }
                if entry.ticket == ticket { return middle }
                if entry.ticket < ticket { low = middle + 1 } else { high = (low + high) / 2 }
            }
            return nil
        }

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
    private var places: [Int: (bucket: Int, ticket: Int)] = [:]
    /// Nearest deadline first. Items that left the line stay in here until their deadline passes or they outnumber the rest.
    private var deadlines = Heap<Deadline>()

    private struct Deadline: Comparable, Sendable {
        var nanoseconds: Int
        var id: Int

        static func < (a: Deadline, b: Deadline) -> Bool { (a.nanoseconds, a.id) < (b.nanoseconds, b.id) }
    }

    mutating func append(_ item: BatchPlanner.Item) {
        let bucket = min(max(item.tokens, 0) / Self.bucketWidth, Self.bucketCount - 1)
        buckets[bucket].entries.append(Entry(item: item, ticket: nextTicket))
        places[item.id] = (bucket, nextTicket)
        if let deadline = item.deadline { remember(Deadline(nanoseconds: deadline, id: item.id)) }
        nextTicket += 1
        count += 1
        tokens += item.tokens
    }

    /// Removes one item; false when it does not wait (any more).
    mutating func remove(_ id: Int) -> Bool {
        guard let (bucket, ticket) = places[id], let index = buckets[bucket].index(of: ticket),
            let entry = buckets[bucket].entries[index]
        else { return false }
        buckets[bucket].entries[index] = nil
        buckets[bucket].skipHoles()
        forget(entry.item)
        return true
    }

    mutating func removeExpired(now: Int) -> [Int] {
        var expired: [Int] = []
        while let next = deadlines.min, next.nanoseconds <= now {
            deadlines.removeMin()
            if remove(next.id) { expired.append(next.id) }
        }
        return expired
    }

    private mutating func remember(_ deadline: Deadline) {
        if deadlines.count > 1024, deadlines.count > 2 * count {
            deadlines = Heap(deadlines.unordered.filter { places[$0.id] != nil })
        }
        deadlines.insert(deadline)
    }

    /// Takes the oldest item and then, as long as they fit, those nearest to it in length, oldest first within a length.
    ///
    /// The batch stays within `tokenBudget` tokens, and within `paddedBudget` when every item is padded to the longest; only a
    /// single item may be longer.
    mutating func takeBatch(tokenBudget: Int, paddedBudget: Int, maxCount: Int) -> [Int] {
        guard let oldest = buckets.indices
            .compactMap({ index in buckets[index].first.map { (index, $0.ticket) } })
            .min(by: { $0.1 < $1.1 })?.0
        else { return [] }
        var ids: [Int] = []
        var budget = tokenBudget
        var longest = 0
        func fits(_ tokens: Int) -> Bool {
            ids.isEmpty || (tokens <= budget && max(longest, tokens) <= paddedBudget / (ids.count + 1))
        }
        for bucket in Self.nearest(to: oldest) {
            while ids.count < maxCount, let entry = buckets[bucket].first, fits(entry.item.tokens) {
                buckets[bucket].entries[buckets[bucket].head] = nil
                buckets[bucket].skipHoles()
                forget(entry.item)
                ids.append(entry.item.id)
                budget -= entry.item.tokens
                longest = max(longest, entry.item.tokens)
            }
            if ids.count == maxCount || budget <= 0 { break }
        }
        return ids
    }

    private mutating func forget(_ item: BatchPlanner.Item) {
        places[item.id] = nil
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
