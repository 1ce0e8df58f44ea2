import ApusBatching

/// Devices that exist only as a formula, driven by the planner in simulated time: arrivals, runs and wakes in their order.
final class Plant {
    struct Batch {
        var lane: Int
        var ids: [Int]
        var shape: BatchShape
        var start: Int
        var end: Int
    }

    struct Arrival {
        var time: Int
        var items: [BatchPlanner.Item]
    }

    private enum Event {
        case arrive([BatchPlanner.Item])
        case finish(Batch)
        case wake
    }

    var planner: BatchPlanner
    private(set) var now = 0
    /// Seconds of a batch on a lane.
    var cost: (BatchShape, Int) -> Double
    /// What a client sends after an answer.
    var reply: (BatchPlanner.Item, Plant) -> [BatchPlanner.Item] = { _, _ in [] }
    /// Nanoseconds from an answer to the reply.
    var thinkTime = 0
    var onBatch: (Batch) -> Void = { _ in }
    private(set) var batches: [Batch] = []
    private(set) var items: [Int: BatchPlanner.Item] = [:]
    private(set) var enqueued: [Int: Int] = [:]
    private(set) var started: [Int: Int] = [:]
    private(set) var answered: [Int: Int] = [:]
    private(set) var expired: [Int] = []
    private(set) var refused: [Int] = []
    private var nextID = 0
    /// Latest first.
    private var events: [(time: Int, order: Int, event: Event)] = []
    private var order = 0

    init(_ planner: BatchPlanner, cost: @escaping (BatchShape, Int) -> Double) {
        self.planner = planner
        self.cost = cost
    }

    func addLanes(_ count: Int, device: Int = 0, tokenBudget: Int = 384) {
        for lane in 0..<count { apply(planner.addLane(device * 100 + lane, device: device, tokenBudget: tokenBudget, now: now)) }
    }

    func item(_ tokens: Int, _ priority: Priority = .medium, client: Int = 0, deadline: Int? = nil) -> BatchPlanner.Item {
        nextID += 1
        return BatchPlanner.Item(id: nextID, tokens: tokens, deadline: deadline, priority: priority, client: client)
    }

    func send(_ items: [BatchPlanner.Item], at time: Int) {
        schedule(time, .arrive(items))
    }

    func run(until end: Int) {
        while let next = events.last, next.time <= end {
            events.removeLast()
            now = next.time
            switch next.event {
            case .arrive(let items): enqueue(items)
            case .wake: apply(planner.tick(now: now))
            case .finish(let batch): finish(batch)
            }
        }
        now = end
    }

    func enqueue(_ new: [BatchPlanner.Item], _ admission: BatchPlanner.Admission = .new) {
        for item in new {
            items[item.id] = item
            enqueued[item.id] = now
        }
        do {
            apply(try planner.enqueue(new, admission, now: now))
        } catch {
            refused += new.map(\.id)
        }
    }

    /// Seconds from enqueue to answer of what was answered and `isWanted`.
    func latencies(_ isWanted: (BatchPlanner.Item, Int) -> Bool = { _, _ in true }) -> [Double] {
        answered.compactMap { id, end in
            guard let item = items[id], let start = enqueued[id], isWanted(item, start) else { return nil }
            return Double(end - start) * 1e-9
        }.sorted()
    }

    private func finish(_ batch: Batch) {
        for id in batch.ids { answered[id] = now }
        batches.append(batch)
        onBatch(batch)
        let outcome = BatchPlanner.Outcome(
            shape: batch.shape, nanoseconds: batch.end - batch.start, latencies: batch.ids.map { now - enqueued[$0, default: now] })
        apply(planner.laneFinished(batch.lane, outcome, now: now))
        for id in batch.ids {
            guard let item = items[id] else { continue }
            let next = reply(item, self)
            if !next.isEmpty { send(next, at: now + thinkTime) }
        }
    }

    private func apply(_ actions: [BatchPlanner.Action]) {
        for action in actions {
            switch action {
            case .launch(let lane, let ids):
                let shape = BatchShape(lengths: ids.map { items[$0]?.tokens ?? 0 })
                for id in ids { started[id] = now }
                let end = now + max(1, Int(cost(shape, lane) * 1e9))
                schedule(end, .finish(Batch(lane: lane, ids: ids, shape: shape, start: now, end: end)))
            case .expire(let ids): expired += ids
            case .wake(let time): schedule(time, .wake)
            }
        }
    }

    private func schedule(_ time: Int, _ event: Event) {
        order += 1
        var (low, high) = (0, events.count)
        while low < high {
            let middle = (low + high) / 2
            if (events[middle].time, events[middle].order) > (time, order) { low = middle + 1 } else { high = middle }
        }
        events.insert((time, order, event), at: low)
    }
}

extension Array where Element == Double {
    /// Of a sorted array; 0 for an empty one.
    func quantile(_ part: Double) -> Double {
        isEmpty ? 0 : self[Swift.min(count - 1, Int(Double(count) * part))]
    }
}

/// Nanoseconds.
func ms(_ milliseconds: Double) -> Int { Int(milliseconds * 1e6) }
