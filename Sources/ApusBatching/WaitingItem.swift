/// An item in line and where it stands.
struct WaitingItem: Sendable {
    var item: BatchPlanner.Item
    /// Order of arrival, unique for ever.
    var ticket: Int
    /// Nanoseconds.
    var enqueued: Int
    /// Nanoseconds that it was predicted to wait.
    var predicted = 0
    /// When it is due: its deadline, or the age at which anything is due.
    var due: Int
    /// Start tag: the virtual time of its client, in tokens, at which it would run if every client were served in turn.
    var tag = 0
    var bucket = 0
}

/// A place in an order: by `key`, and equals by arrival. It stands for an item as long as that waits under the same ticket and key.
struct Rank: Comparable, Sendable {
    var key: Int
    var ticket: Int
    var id: Int

    static func < (a: Rank, b: Rank) -> Bool { (a.key, a.ticket, a.id) < (b.key, b.ticket, b.id) }

    func isTag(in items: [Int: WaitingItem]) -> Bool {
        items[id].map { $0.ticket == ticket && $0.tag == key } ?? false
    }

    func isDue(in items: [Int: WaitingItem]) -> Bool {
        items[id].map { $0.ticket == ticket && $0.due == key } ?? false
    }

    func isDeadline(in items: [Int: WaitingItem]) -> Bool {
        items[id].map { $0.ticket == ticket && $0.item.deadline == key } ?? false
    }
}
