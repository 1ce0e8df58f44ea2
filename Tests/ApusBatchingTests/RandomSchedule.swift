import ApusBatching
import ApusErrors

/// One random schedule: arrivals, ends, failures, cancellations, devices that come and go, wakes that come early and late. Watches from outside
/// that the planner keeps its promises.
final class RandomSchedule {
    typealias Item = BatchPlanner.Item

    private struct Lane {
        var device: Int
        var budget: Int
        var share: Double
        var running: [Item]?
        var isSecluded = false
    }

    private enum Fate { case waiting, running, ended }

    /// What was broken.
    private(set) var failures: [String] = []
    private(set) var launches = 0
    private(set) var waits = 0
    private var random: SplitMix
    private var planner: BatchPlanner
    private let policy: BatchPolicy
    private let isPlain: Bool
    private var lanes: [Int: Lane] = [:]
    private var items: [Int: Item] = [:]
    private var enqueued: [Int: Int] = [:]
    private var fates: [Int: Fate] = [:]
    private var waiting: Set<Int> = []
    private var open = 0
    /// Ids that were put back, and whether they want a device to themselves.
    private var replayed: [Int: Bool] = [:]
    /// Batches that may start before an item does, at most.
    private var patience: [Int: Int] = [:]
    private var wake: Int?
    private var now = 0
    private var nextID = 0
    private var nextLane = 0
    private var isLight = false
    private let cost: (BatchShape) -> Int

    /// In a plain schedule there is one class, one client, no deadline and no failure: so starvation has an exact bound.
    init(seed: Int, isPlain: Bool) throws {
        random = SplitMix(state: UInt64(seed))
        self.isPlain = isPlain
        let maxWait = Duration.microseconds([0, 500, 10_000][Int.random(in: 0..<3, using: &random)])
        policy = try BatchPolicy(
            maxWait: maxWait, tokenBudget: Bool.random(using: &random) ? .random(in: 1...500, using: &random) : nil,
            maxBatchSize: .random(in: 1...20, using: &random),
            targetLatency: Bool.random(using: &random) ? .milliseconds(Int.random(in: 1...50, using: &random)) : nil,
            highLatencyTarget: .milliseconds(Int.random(in: 1...100, using: &random)),
            ageBound: .milliseconds(isPlain ? 1_000_000 : Int.random(in: 1...100, using: &random)), maxQueue: .seconds(3600), maxQueuedTokens: .max)
        planner = BatchPlanner(policy: policy)
        let fixed = Double.random(in: 10_000...20_000_000, using: &random)
        let perToken = Double.random(in: 10...100_000, using: &random)
        cost = { Int(fixed + perToken * Double($0.tokens + $0.padding)) }
        for _ in 0..<Int.random(in: 1...4, using: &random) { addLane() }
    }

    func run(steps: Int) {
        warmUp()
        for _ in 0..<steps {
            advance(by: Int.random(in: 0...2_000_000, using: &random))
            step()
            checkProgress()
        }
        if lanes.isEmpty { addLane() }
        for _ in 0..<100_000 where open > 0 {
            if let lane = lanes.keys.filter({ lanes[$0]?.running != nil }).min() {
                finish(lane)
            } else if let wake {
                advance(by: max(0, wake - now))
            } else {
                break
            }
            checkProgress()
        }
        check(open == 0 && fates.values.allSatisfy { $0 == .ended }, "\(open) items never ended")
        check(planner.waitingCount == 0 && planner.waitingTokens == 0, "something waits at the end")
    }

    /// In half of the schedules little comes at a time and the costs of the devices are known, so that waiting for company may pay.
    private func warmUp() {
        guard Bool.random(using: &random) else { return }
        for _ in 0..<10 {
            enqueue()
            while let lane = busyLane() { finish(lane) }
            checkProgress()
        }
        isLight = true
    }

    private func step() {
        switch Int.random(in: 0..<(isPlain ? 6 : 13), using: &random) {
        case 0, 1, 2: enqueue()
        case 3, 4, 5:
            if let lane = busyLane() { finish(lane) }
        case 6:
            let ids = (0..<3).map { _ in Int.random(in: 0...nextID, using: &random) }
            for id in planner.cancel(ids) { end(id, from: .waiting, "cancelled") }
            // A device that ran dry for what is gone now notices with the next event.
            wake = nil
            apply(planner.tick(now: now))
        case 7:
            if let lane = busyLane() { fail(lane) }
        case 8:
            if lanes.count < 5 { addLane() } else if let lane = lanes.keys.sorted().randomElement(using: &random) { remove(lane) }
        case 9:
            guard let lane = lanes.keys.sorted().randomElement(using: &random), let device = lanes[lane]?.device else { return }
            let share = Double.random(in: 0.1...1, using: &random)
            lanes[lane]?.share = share
            planner.setShare(share, ofLane: lane)
            if Int.random(in: 0..<4, using: &random) == 0 { planner.setCeiling(.random(in: 20...400, using: &random), device: device) }
        case 10:
            let id = Int.random(in: 0...nextID, using: &random)
            guard fates[id] == .waiting, let old = items[id] else { return }
            let deadline = Bool.random(using: &random) ? nil : now + Int.random(in: 0...ms(50), using: &random)
            let priority = Priority.allCases[Int.random(in: 0..<3, using: &random)]
            planner.promote(id: id, to: priority, deadline: deadline)
            items[id]?.priority = min(priority, old.priority)
            items[id]?.deadline = old.deadline.flatMap { before in deadline.map { max(before, $0) } }
        case 11:
            if let lane = busyLane() { relaunch(lane) }
        default: apply(planner.expire(now: now))
        }
    }

    /// Another model had the device: the batch goes back, without those that nobody wants any more, and is formed anew.
    private func relaunch(_ lane: Int) {
        guard let ran = lanes[lane]?.running, !ran.contains(where: { replayed[$0.id] != nil }) else { return }
        lanes[lane]?.running = nil
        var wanted: [Item] = []
        for item in ran {
            guard Int.random(in: 0..<5, using: &random) > 0 else {
                end(item.id, from: .running, "dropped")
                continue
            }
            fates[item.id] = .waiting
            waiting.insert(item.id)
            if let current = items[item.id] { wanted.append(current) }
        }
        apply(planner.relaunch(lane, items: wanted, now: now))
    }

    private func enqueue() {
        let new = (0..<Int.random(in: 1...(isLight ? 2 : 12), using: &random)).map { _ in
            nextID += 1
            return Item(
                id: nextID, tokens: Int.random(in: 0..<8, using: &random) == 0 ? .random(in: 0...700, using: &random) : random.length(),
                deadline: !isPlain && Int.random(in: 0..<4, using: &random) == 0 ? now + Int.random(in: -10...ms(40), using: &random) : nil,
                priority: isPlain ? .medium : Priority.allCases[Int.random(in: 0..<3, using: &random)],
                client: isPlain ? 0 : .random(in: 0..<4, using: &random))
        }
        for (place, item) in new.enumerated() {
            items[item.id] = item
            enqueued[item.id] = now
            fates[item.id] = .waiting
            waiting.insert(item.id)
            open += 1
            // Every batch starts with the oldest: no more of them than older items come first.
            if isPlain { patience[item.id] = launches + planner.waitingCount + place + 1 }
        }
        do {
            apply(try planner.enqueue(new, .continuing, now: now))
        } catch {
            failures.append("refused: \(error)")
        }
    }

    private func finish(_ lane: Int) {
        guard let ran = lanes[lane]?.running else { return }
        lanes[lane]?.running = nil
        lanes[lane]?.isSecluded = false
        for item in ran { end(item.id, from: .running, "answered") }
        let shape = BatchShape(lengths: ran.map(\.tokens))
        advance(by: cost(shape) / (isLight ? 20 : 4))
        let outcome = BatchPlanner.Outcome(
            shape: shape, nanoseconds: cost(shape), latencies: ran.map { now - enqueued[$0.id, default: now] })
        apply(planner.laneFinished(lane, Int.random(in: 0..<10, using: &random) == 0 ? nil : outcome, now: now))
    }

    /// What ran comes back, as one, in halves or one by one.
    private func fail(_ lane: Int) {
        guard let ran = lanes[lane]?.running, let device = lanes[lane]?.device else { return }
        lanes[lane]?.running = nil
        lanes[lane]?.isSecluded = false
        let company: BatchPlanner.Company = Bool.random(using: &random) ? .any : .none
        let groups = company == .none ? ran.map { [$0] } : [Array(ran[..<(ran.count / 2)]), Array(ran[(ran.count / 2)...])]
        for item in ran {
            fates[item.id] = .waiting
            waiting.insert(item.id)
            replayed[item.id] = company == .none
        }
        if Bool.random(using: &random) { remove(lane) }
        apply(planner.putBack(groups.map { .init($0, avoiding: Bool.random(using: &random) ? device : nil, company: company) }, now: now))
        if lanes[lane] != nil { apply(planner.laneFinished(lane, now: now)) }
    }

    private func addLane() {
        nextLane += 1
        let device = Int.random(in: 0..<3, using: &random)
        let lane = Lane(device: device, budget: .random(in: 50...1000, using: &random), share: 1)
        lanes[nextLane] = lane
        apply(planner.addLane(nextLane, device: device, tokenBudget: lane.budget, now: now))
    }

    private func remove(_ lane: Int) {
        guard lanes[lane]?.running == nil else { return }
        lanes[lane] = nil
        planner.removeLane(lane)
        // A replay that avoided another device may have no choice any more.
        wake = nil
        apply(planner.tick(now: now))
    }

    private func advance(by nanoseconds: Int) {
        let end = now + nanoseconds
        while let time = wake, time <= end {
            // A little early or late, as timers are.
            now = min(end, max(now, time + Int.random(in: -1000...1000, using: &random)))
            wake = nil
            apply(planner.tick(now: now))
        }
        now = end
    }

    private func apply(_ actions: [BatchPlanner.Action]) {
        for action in actions {
            switch action {
            case .launch(let lane, let ids): launch(ids, on: lane)
            case .expire(let ids):
                for id in ids {
                    // What a full batch takes is too late as well.
                    let full = 3 * cost(BatchShape(count: 1, tokens: 500, padding: 500))
                    check(items[id]?.deadline.map { $0 <= now + full } ?? false, "\(id) expired before its deadline")
                    end(id, from: .waiting, "expired")
                }
            case .wake(let time):
                check(wake.map { time < $0 } ?? true, "a wake at \(time) although one comes at \(wake ?? 0)")
                waits += 1
                wake = time
            }
        }
    }

    private func launch(_ ids: [Int], on number: Int) {
        launches += 1
        guard let lane = lanes[number] else { return failures.append("launched on lane \(number), which is gone") }
        check(lane.running == nil, "lane \(number) runs two batches")
        check(!ids.isEmpty, "an empty batch")
        let batch = ids.compactMap { items[$0] }
        let isAlone = ids.contains { replayed[$0] ?? false }
        let others = lanes.values.filter { $0.device == lane.device && $0.running != nil }
        check(!others.contains(where: \.isSecluded), "company for a batch that wants none")
        check(!isAlone || others.isEmpty, "a batch that wants no company has some")
        for id in ids {
            check(fates[id] == .waiting, "\(id) launched while it is \(String(describing: fates[id]))")
            check(!(items[id]?.deadline.map { $0 <= now } ?? false), "\(id) launched after its deadline")
            if let bound = patience[id] { check(launches <= bound, "\(id) starved: batch \(launches), bound \(bound)") }
            fates[id] = .running
            waiting.remove(id)
        }
        lanes[number]?.running = batch
        lanes[number]?.isSecluded = isAlone
        guard batch.count > 1 else { return }
        let shape = BatchShape(lengths: batch.map(\.tokens))
        let most = Double(min(policy.tokenBudget ?? lane.budget, planner.budget(device: lane.device))) * lane.share
        check(Double(shape.tokens) <= most.rounded(), "\(shape.tokens) tokens, budget \(most)")
        check(shape.tokens + shape.padding <= 2 * max(1, Int(most.rounded())), "\(shape.padding) tokens of padding on \(shape.tokens)")
        if let ceiling = planner.ceiling(device: lane.device) {
            check(shape.tokens + shape.padding <= ceiling, "\(shape.tokens + shape.padding) padded tokens, ceiling \(ceiling)")
        }
        check(batch.count <= policy.maxBatchSize, "\(batch.count) sequences")
    }

    /// Work that waits beside an idle lane waits for a wake that comes in time.
    private func checkProgress() {
        check(planner.waitingCount == waiting.count, "\(planner.waitingCount) wait instead of \(waiting.count)")
        // A device that runs dry for a batch that wants it alone is idle on purpose.
        guard !waiting.isEmpty, lanes.values.contains(where: { $0.running == nil }), !lanes.values.contains(where: \.isSecluded),
            replayed.isEmpty || !waiting.contains(where: { replayed[$0] != nil })
        else { return }
        let oldest = waiting.compactMap { enqueued[$0] }.min() ?? now
        let bound = oldest + Int(policy.maxWait / .nanoseconds(1))
        guard let wake else { return failures.append("work waits beside an idle lane without a wake") }
        check(wake >= now - 1000 && wake <= bound, "the wake comes at \(wake), now is \(now), the bound is \(bound)")
    }

    private func end(_ id: Int, from fate: Fate, _ what: String) {
        check(fates[id] == fate, "\(id) \(what) while it is \(String(describing: fates[id]))")
        fates[id] = .ended
        waiting.remove(id)
        open -= 1
    }

    private func busyLaneNumbers() -> [Int] { lanes.keys.filter { lanes[$0]?.running != nil }.sorted() }

    private func busyLane() -> Int? { busyLaneNumbers().randomElement(using: &random) }

    private func check(_ isTrue: Bool, _ what: @autoclosure () -> String) {
        if !isTrue { failures.append(what()) }
    }
}
