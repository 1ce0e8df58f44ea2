import HeapModule

/// The items of one class.
///
/// Among clients it is start-time fair queueing over tokens (P. Goyal, H. Vin, H. Cheng, SIGCOMM 1996): the client that got least is next, one
/// that comes back starts at what the others got meanwhile. Of a client the item that is due first is the seed of a batch. Batches are filled
/// in the order of start tags, which lie far ahead for whoever floods the queue.
struct ClassLine: Sendable {
    private struct Client: Sendable {
        /// Tokens it got, on the scale of the class.
        var served: Int
        /// Where its next item's start tag lies.
        var tail: Int
        var count = 0
        var tokens = 0
        var due = Heap<Rank>()
    }

    /// Items of a client that a look at each of them costs less than a batch.
    private static let fewItems = 64

    private(set) var tokens = 0
    private var items: [Int: WaitingItem] = [:]
    private var clients: [Int: Client] = [:]
    private var buckets = LengthBuckets()
    /// Nearest deadline first. Items that left stay in here until their deadline passes or they outnumber the rest.
    private var deadlines = Heap<Rank>()
    /// What the client that got least has got.
    private var clock = 0

    var count: Int { items.count }

    subscript(id: Int) -> WaitingItem? { items[id] }

    func tokens(ofClient client: Int) -> Int { clients[client]?.tokens ?? 0 }

    /// Clients with something in line, not counting `client`.
    func others(than client: Int) -> Int {
        clients.count { $0.key != client && $0.value.count > 0 }
    }

    mutating func insert(_ new: WaitingItem) {
        var new = new
        let item = new.item
        var client = clients.removeValue(forKey: item.client) ?? Client(served: clock, tail: clock)
        if client.count == 0 {
            client.served = max(client.served, clock)
            client.tail = client.served
            client.due = Heap()
        }
        new.tag = client.tail
        new.bucket = LengthBuckets.index(item.tokens)
        client.tail = client.tail.saturatingAdd(item.tokens)
        client.count += 1
        client.tokens += item.tokens
        items[item.id] = new
        if client.due.count > 64, client.due.count > 2 * client.count {
            client.due = Heap(client.due.unordered.filter { $0.isDue(in: items) })
        }
        client.due.insert(Rank(key: new.due, ticket: new.ticket, id: item.id))
        clients[item.client] = client
        buckets.insert(Rank(key: new.tag, ticket: new.ticket, id: item.id), at: new.bucket, of: items)
        remember(new)
        tokens += item.tokens
    }

    /// Gives a waiting item another deadline and due time.
    mutating func reschedule(_ id: Int, deadline: Int?, due: Int) {
        guard var waiting = items[id] else { return }
        waiting.item.deadline = deadline
        waiting.due = due
        items[id] = waiting
        clients[waiting.item.client]?.due.insert(Rank(key: due, ticket: waiting.ticket, id: id))
        remember(waiting)
    }

    /// Takes an item out; nil when it does not wait. What `served` takes is accounted to its client.
    mutating func remove(_ id: Int, served: Bool) -> WaitingItem? {
        guard let gone = items.removeValue(forKey: id) else { return nil }
        let client = gone.item.client
        tokens -= gone.item.tokens
        buckets.forget(gone.bucket)
        clients[client]?.count -= 1
        clients[client]?.tokens -= gone.item.tokens
        guard let state = clients[client] else { return gone }
        if served {
            clients[client]?.served = state.served.saturatingAdd(gone.item.tokens)
        } else {
            // What never ran is nothing that the client got: those it sends next do not stand behind it.
            clients[client]?.tail = max(state.served, state.tail - gone.item.tokens)
        }
        return gone
    }

    /// What was taken out as served did not run.
    mutating func takeBackService(of waiting: WaitingItem) {
        guard let served = clients[waiting.item.client]?.served else { return }
        clients[waiting.item.client]?.served = served - waiting.item.tokens
    }

    mutating func removeExpired(now: Int) -> [WaitingItem] {
        var expired: [WaitingItem] = []
        while let next = deadlines.min, next.key <= now {
            deadlines.removeMin()
            if next.isDeadline(in: items), let gone = remove(next.id, served: false) { expired.append(gone) }
        }
        return expired
    }

    /// The item that the next batch is built around: of the client that got least, the one due first.
    mutating func seed() -> BatchPlanner.Item? {
        let waiting = clients.lazy.filter { $0.value.count > 0 }
        guard let next = waiting.min(by: { ($0.value.served, $0.key) < ($1.value.served, $1.key) }) else { return nil }
        clock = max(clock, next.value.served)
        // What an absent client got beyond the others is remembered until they caught up.
        if clients.contains(where: { $0.value.count == 0 && $0.value.served <= clock }) {
            clients = clients.filter { $0.value.count > 0 || $0.value.served > clock }
        }
        while let rank = clients[next.key]?.due.min {
            if rank.isDue(in: items) { return items[rank.id]?.item }
            clients[next.key]?.due.removeMin()
        }
        return nil
    }

    /// Adds to `batch`, which `client` has seeded, its own items that fit, the nearest in length first. Only while others wait too and when it
    /// has so few that those of a client that floods the queue would always be nearer: order by start tags does justice to the rest.
    mutating func fill(_ batch: inout GrowingBatch, ofClient client: Int) -> [WaitingItem] {
        guard let own = clients[client], own.count > 0, own.count <= Self.fewItems, own.count < items.count else { return [] }
        let length = batch.longest
        let nearest = own.due.unordered.filter { $0.isDue(in: items) }
            .compactMap { items[$0.id]?.item }
            .sorted { (abs($0.tokens - length), $0.id) < (abs($1.tokens - length), $1.id) }
        var taken: [WaitingItem] = []
        batch.allow(padding: batch.bounds.padding(waiting: own.tokens))
        for item in nearest where batch.fits(item.tokens) {
            guard let waiting = remove(item.id, served: true) else { continue }
            batch.add(item)
            taken.append(waiting)
        }
        return taken
    }

    /// Adds to `batch` what fits, the nearest in length to `bucket` first, in the order of start tags within a length. Costs what is added
    /// plus a few words per kilotoken of the lengths between, whatever waits.
    ///
    /// Only what has its start tag up to `horizon` may overtake: otherwise common lengths would run long before their turn and rare ones at the
    /// end of theirs, and a request is answered when the last of its sequences is.
    mutating func fill(_ batch: inout GrowingBatch, around bucket: Int, horizon: Int) -> [WaitingItem] {
        var taken: [WaitingItem] = []
        var above = bucket
        var below = bucket
        while !batch.isFull {
            let up = next { $0.occupied(atOrAbove: above) }
            let down = next { $0.occupied(below: below) }
            if let up { above = up.bucket }
            if let down { below = down.bucket + 1 }
            let upIsNearer: Bool
            switch (up, down) {
            case (nil, nil): return taken
            case (_?, nil): upIsNearer = true
            case (nil, _?): upIsNearer = false
            case (let up?, let down?): upIsNearer = batch.padding(of: up.item.tokens) <= batch.padding(of: down.item.tokens)
            }
            guard let (candidate, place) = upIsNearer ? up : down else { return taken }
            let mayOvertake = items[candidate.id].map { $0.tag <= horizon } ?? false
            if mayOvertake, batch.fits(candidate.tokens), let waiting = remove(candidate.id, served: true) {
                batch.add(candidate)
                taken.append(waiting)
            } else if upIsNearer {
                above = place + 1
            } else {
                below = place
            }
        }
        return taken
    }

    private mutating func next(_ find: (LengthBuckets) -> Int?) -> (item: BatchPlanner.Item, bucket: Int)? {
        guard let bucket = find(buckets), let item = buckets.first(bucket, of: items) else { return nil }
        return (item, bucket)
    }

    private mutating func remember(_ waiting: WaitingItem) {
        guard let deadline = waiting.item.deadline else { return }
        if deadlines.count > 1024, deadlines.count > 2 * items.count {
            deadlines = Heap(deadlines.unordered.filter { $0.isDeadline(in: items) })
        }
        deadlines.insert(Rank(key: deadline, ticket: waiting.ticket, id: waiting.item.id))
    }
}
