/// Everything that waits, by class.
///
/// Classes share by weighted virtual time: what a class got, in tokens divided by its share. One that becomes busy starts at the time of the
/// busy class that got least, so that nobody saves up while idle and nobody is punished for having used what others left.
struct WaitingLine: Sendable {
    private var classes = Priority.allCases.map { _ in ClassLine() }
    private var virtual = Priority.allCases.map { _ in 0.0 }
    private let shares: [Double]
    private var clock = 0.0
    private var nextTicket = 0
    /// Ids and tickets in the order of arrival, with those that left until they come to the front.
    private var arrivals: [(id: Int, ticket: Int, enqueued: Int)] = []
    private var head = 0

    init(shares: [Priority: Double]) {
        self.shares = Priority.allCases.map { shares[$0] ?? 0 }
    }

    var count: Int { classes.reduce(0) { $0 + $1.count } }
    var tokens: Int { classes.reduce(0) { $0 + $1.tokens } }

    func tokens(_ priority: Priority) -> Int { classes[priority.rawValue].tokens }
    func count(_ priority: Priority) -> Int { classes[priority.rawValue].count }
    func share(_ priority: Priority) -> Double { shares[priority.rawValue] }

    func tokens(ofClient client: Int, _ priority: Priority) -> Int { classes[priority.rawValue].tokens(ofClient: client) }
    func tokens(ofClient client: Int) -> Int { classes.reduce(0) { $0 + $1.tokens(ofClient: client) } }
    func others(than client: Int, _ priority: Priority) -> Int { classes[priority.rawValue].others(than: client) }

    /// When the item that waits longest was enqueued.
    mutating func oldest() -> Int? {
        while head < arrivals.count {
            let (id, ticket, enqueued) = arrivals[head]
            if find(id)?.ticket == ticket { return enqueued }
            head += 1
        }
        arrivals.removeAll(keepingCapacity: true)
        head = 0
        return nil
    }

    mutating func append(_ item: BatchPlanner.Item, now: Int, ageBound: Int, predicted: Int) {
        let place = item.priority.rawValue
        if classes[place].count == 0 {
            advance()
            virtual[place] = max(virtual[place], clock)
        }
        let bound = now.saturatingAdd(ageBound)
        classes[place].insert(
            WaitingItem(
                item: item, ticket: nextTicket, enqueued: now, predicted: predicted, due: min(item.deadline ?? bound, bound)))
        if arrivals.count > 1024, arrivals.count > 4 * count {
            arrivals = arrivals[head...].filter { find($0.id)?.ticket == $0.ticket }
            head = 0
        }
        arrivals.append((item.id, nextTicket, now))
        nextTicket += 1
    }

    /// Removes one item; false when it does not wait (any more).
    mutating func remove(_ id: Int) -> Bool {
        guard let place = classes.firstIndex(where: { $0[id] != nil }) else { return false }
        return classes[place].remove(id, served: false) != nil
    }

    mutating func removeExpired(now: Int) -> [WaitingItem] {
        classes.indices.flatMap { classes[$0].removeExpired(now: now) }
    }

    /// Moves an item to a more urgent class and gives it another deadline. False when it does not wait.
    mutating func promote(_ id: Int, to priority: Priority, deadline: Int?, ageBound: Int) -> Bool {
        guard let place = classes.firstIndex(where: { $0[id] != nil }), let waiting = classes[place][id] else { return false }
        let bound = waiting.enqueued.saturatingAdd(ageBound)
        let due = min(deadline ?? bound, bound)
        guard priority.rawValue < place else {
            classes[place].reschedule(id, deadline: deadline, due: due)
            return true
        }
        guard var moved = classes[place].remove(id, served: false) else { return false }
        let target = priority.rawValue
        if classes[target].count == 0 {
            advance()
            virtual[target] = max(virtual[target], clock)
        }
        moved.item.priority = priority
        moved.item.deadline = deadline
        moved.due = due
        classes[target].insert(moved)
        return true
    }

    /// The class whose turn it is: the most urgent that has not got more than `burst` tokens beyond its share.
    mutating func nextClass(burst: Double) -> Priority? {
        guard let least = advance() else { return nil }
        return Priority.allCases.first { priority in
            let place = priority.rawValue
            return classes[place].count > 0 && (virtual[place] - least) * shares[place] <= burst
        }
    }

    /// Takes the seed of `priority` and then, as long as they fit, those nearest to it in length: of the same class first, then of more
    /// urgent ones, which ride along. Never of less urgent ones, which would make the batch longer for those who matter more.
    mutating func takeBatch(_ priority: Priority, within bounds: BatchBounds) -> (batch: GrowingBatch, taken: [WaitingItem]) {
        var batch = GrowingBatch(bounds)
        guard let seed = classes[priority.rawValue].seed(), let first = classes[priority.rawValue].remove(seed.id, served: true) else {
            return (batch, [])
        }
        batch.add(first.item)
        var taken = [first] + classes[priority.rawValue].fill(&batch, ofClient: seed.client)
        batch.allow(padding: bounds.maxPadding)
        for place in (0...priority.rawValue).reversed() where classes[place].count > 0 && !batch.isFull {
            let horizon = place == priority.rawValue ? first.tag.saturatingAdd(bounds.window) : .max
            taken += classes[place].fill(&batch, around: first.bucket, horizon: horizon)
        }
        for waiting in taken { virtual[waiting.item.priority.rawValue] += work(waiting) }
        return (batch, taken)
    }

    /// Puts back what was taken and did not run, at its old age. `items` are those of `taken` that are still wanted, as they are now.
    mutating func giveBack(_ taken: [WaitingItem], as items: [BatchPlanner.Item], ageBound: Int) {
        let current = Dictionary(items.map { ($0.id, $0) }) { first, _ in first }
        // The youngest first, so that the oldest ends up in front.
        for var waiting in taken.sorted(by: { $0.ticket > $1.ticket }) {
            let place = waiting.item.priority.rawValue
            virtual[place] -= work(waiting)
            classes[place].takeBackService(of: waiting)
            guard let item = current[waiting.item.id] else { continue }
            waiting.item = item
            let bound = waiting.enqueued.saturatingAdd(ageBound)
            waiting.due = min(item.deadline ?? bound, bound)
            classes[item.priority.rawValue].insert(waiting)
            arrivals.insert((item.id, waiting.ticket, waiting.enqueued), at: head)
        }
    }

    /// Virtual time that an item costs its class.
    private func work(_ waiting: WaitingItem) -> Double {
        Double(max(waiting.item.tokens, 1)) / shares[waiting.item.priority.rawValue]
    }

    /// The deadline of a waiting item, which may be none; nil when it does not wait.
    func deadline(_ id: Int) -> Int?? {
        find(id).map(\.item.deadline)
    }

    private func find(_ id: Int) -> WaitingItem? {
        for line in classes { if let waiting = line[id] { return waiting } }
        return nil
    }

    /// Moves the clock to the least that a busy class has got, and returns that.
    @discardableResult
    private mutating func advance() -> Double? {
        var least: Double?
        for place in classes.indices where classes[place].count > 0 { least = min(least ?? virtual[place], virtual[place]) }
        if let least { clock = max(clock, least) }
        return least
    }
}
