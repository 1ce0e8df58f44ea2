import ApusBatching
import ApusErrors
import Testing

@Suite struct PriorityTests {
    typealias Item = BatchPlanner.Item

    private static func cost(_ shape: BatchShape, _ lane: Int) -> Double {
        1e-3 + 50e-6 * Double(shape.tokens + shape.padding)
    }

    private func plant(_ policy: BatchPolicy, lanes: Int = 1) -> Plant {
        let plant = Plant(BatchPlanner(policy: policy), cost: Self.cost)
        plant.addLanes(lanes)
        return plant
    }

    /// Parts of the tokens that ran.
    private func parts(_ plant: Plant, since: Int, _ group: (Item) -> Int) -> [Int: Double] {
        var tokens: [Int: Double] = [:]
        for batch in plant.batches where batch.start >= since {
            for id in batch.ids {
                guard let item = plant.items[id] else { continue }
                tokens[group(item), default: 0] += Double(item.tokens)
            }
        }
        let sum = tokens.values.reduce(0, +)
        return tokens.mapValues { $0 / sum }
    }

    @Test(arguments: [[0.5, 0.3, 0.2], [0.8, 0.15, 0.05], [1, 1, 1]]) func classesGetTheirSharesWhileAllHaveWork(shares: [Double]) throws {
        var random = SplitMix(state: 1)
        let plant = plant(
            try BatchPolicy(
                shares: [.high: shares[0], .medium: shares[1], .low: shares[2]], ageBound: .seconds(3600), maxQueue: .seconds(3600)),
            lanes: 2)
        plant.reply = { item, plant in [plant.item(random.length(), item.priority)] }
        for priority in Priority.allCases { plant.enqueue((0..<100).map { _ in plant.item(random.length(), priority) }) }
        plant.run(until: ms(120_000))
        let parts = parts(plant, since: ms(10_000)) { $0.priority.rawValue }
        let sum = shares.reduce(0, +)
        for (place, share) in shares.enumerated() { #expect(abs(parts[place, default: 0] - share / sum) <= 0.01, "\(parts)") }
    }

    @Test func whatAClassDoesNotUseIsPassedOnByShare() throws {
        var random = SplitMix(state: 2)
        let plant = plant(try BatchPolicy(maxQueue: .seconds(3600)))
        plant.reply = { item, plant in [plant.item(random.length(), item.priority)] }
        for priority in [Priority.medium, .low] { plant.enqueue((0..<100).map { _ in plant.item(random.length(), priority) }) }
        plant.run(until: ms(60_000))
        let parts = parts(plant, since: ms(5_000)) { $0.priority.rawValue }
        #expect(abs(parts[1, default: 0] - 0.6) <= 0.012, "\(parts)")
    }

    /// Low work for twice what the lanes can do; a little high work. It waits for what runs and for nothing else.
    @Test func lightHighWorkWaitsOnlyForWhatRuns() throws {
        var random = SplitMix(state: 3)
        let plant = plant(try BatchPolicy(maxQueue: .seconds(3600)), lanes: 2)
        for step in 0..<3000 {
            plant.send((0..<14).map { _ in plant.item(random.length(), .low) }, at: ms(10) * step)
            if step % 10 == 5 { plant.send([plant.item(20, .high)], at: ms(10) * step + ms(3)) }
        }
        plant.run(until: ms(30_000))
        let high = plant.latencies { item, start in item.priority == .high && start > ms(1000) }
        let low = plant.batches.filter { $0.start > ms(1000) && plant.items[$0.ids[0]]?.priority == .low }.map { Double($0.end - $0.start) * 1e-9 }
        #expect(high.count > 250)
        #expect(plant.planner.waitingCount > 1000)
        // Alone it takes 2 ms.
        #expect(high.quantile(0.99) <= 0.002 + (low.max() ?? 0), "\(high.quantile(0.99)) \(low.max() ?? 0)")
    }

    /// A high class that floods gets its share and no more.
    @Test func floodingHighWorkDoesNotStarveLow() throws {
        var random = SplitMix(state: 4)
        let plant = plant(try BatchPolicy(maxQueue: .seconds(3600)), lanes: 2)
        for step in 0..<3000 {
            plant.send((0..<20).map { _ in plant.item(random.length(), .high) }, at: ms(10) * step)
            plant.send((0..<20).map { _ in plant.item(random.length(), .low) }, at: ms(10) * step)
        }
        plant.run(until: ms(30_000))
        let parts = parts(plant, since: ms(2_000)) { $0.priority.rawValue }
        #expect(abs(parts[2, default: 0] - 0.2 / 0.7) <= 0.03, "\(parts)")
    }

    @Test func whileHighWorkIsExpectedLowBatchesAreShort() throws {
        var random = SplitMix(state: 5)
        let policy = try BatchPolicy(tokenBudget: 4096, maxBatchSize: 512, highLatencyTarget: .milliseconds(40), maxQueue: .seconds(3600))
        let plant = plant(policy)
        plant.reply = { item, plant in item.priority == .low ? [plant.item(random.length(), .low)] : [] }
        plant.enqueue((0..<500).map { _ in plant.item(random.length(), .low) })
        plant.send([plant.item(10, .high)], at: ms(20_000))
        plant.run(until: ms(45_000))
        let seconds = { (from: Int, to: Int) in
            plant.batches.filter { $0.start >= from && $0.start < to }.map { Double($0.end - $0.start) * 1e-9 }.sorted()
        }
        // What a small batch costs is a guess before the first, and a single sequence may cost what it likes.
        let between = plant.batches.filter { $0.start >= ms(20_300) && $0.start < ms(30_000) }
        #expect(between.contains { $0.shape.count > 1 })
        #expect(between.allSatisfy { $0.shape.count == 1 || $0.end - $0.start <= ms(10.5) })
        #expect(seconds(ms(10_000), ms(20_000)).quantile(0.5) > 0.05)
        #expect(seconds(ms(31_000), ms(45_000)).quantile(0.5) > 0.05)
    }

    @Test func moreUrgentWorkRidesAlongAndLessUrgentDoesNot() throws {
        var planner = BatchPlanner(policy: try BatchPolicy())
        _ = planner.addLane(0, device: 0, now: 0)
        _ = try planner.enqueue([Item(id: 0, tokens: 10)], now: 0)
        _ = try planner.enqueue([Item(id: 1, tokens: 10, priority: .low), Item(id: 2, tokens: 10, priority: .high)], now: 0)
        #expect(planner.laneFinished(0, now: 1) == [.launch(lane: 0, ids: [2])])
        // Far ahead of its share, high work rides along in the low class's batch.
        _ = try planner.enqueue((0..<200).map { Item(id: 10 + $0, tokens: 10, priority: .high) }, now: 2)
        var batches: [[Int]] = []
        while case .launch(_, let ids)? = planner.laneFinished(0, now: 3).last { batches.append(ids) }
        let low = batches.first { $0.contains(1) } ?? []
        #expect(low.first == 1 && low.count > 1)
        #expect(batches.flatMap(\.self).count == 201)
    }

    @Test func earliestDeadlineIsNextWithinAClassAndAgeCountsAsOne() throws {
        var planner = BatchPlanner(policy: try BatchPolicy(maxBatchSize: 1, ageBound: .milliseconds(100)))
        _ = planner.addLane(0, device: 0, now: 0)
        _ = try planner.enqueue([Item(id: 0, tokens: 1)], now: 0)
        _ = try planner.enqueue([Item(id: 1, tokens: 1), Item(id: 2, tokens: 1, deadline: ms(90)), Item(id: 3, tokens: 1, deadline: ms(50))], now: 0)
        // Younger, but due before those that have no deadline.
        _ = try planner.enqueue([Item(id: 4, tokens: 1, deadline: ms(95)), Item(id: 5, tokens: 1, deadline: ms(150))], now: ms(20))
        var order: [Int] = []
        while case .launch(_, let ids)? = planner.laneFinished(0, now: ms(21)).last { order += ids }
        #expect(order == [3, 2, 4, 1, 5])
    }

    /// One key sends twenty times what it can get, another keeps ten sequences waiting: both get half.
    @Test(arguments: [1, 3]) func aFloodingClientDoesNotPushOthersOut(others: Int) throws {
        var random = SplitMix(state: 6)
        let plant = plant(try BatchPolicy(maxQueue: .seconds(3600)), lanes: 2)
        plant.reply = { item, plant in item.client == 0 ? [] : [plant.item(random.length(), client: item.client)] }
        for step in 0..<1000 { plant.send((0..<150).map { _ in plant.item(random.length(), client: 0) }, at: ms(10) * step) }
        plant.run(until: ms(5))
        for client in 1...others { plant.enqueue((0..<20).map { _ in plant.item(random.length(), client: client) }, .continuing) }
        plant.run(until: ms(10_000))
        let parts = parts(plant, since: ms(1_000)) { $0.client }
        #expect(parts[0, default: 0] > 0.9 / Double(others + 1), "\(parts)")
        for client in 1...others { #expect(parts[client, default: 0] > 0.85 / Double(others + 1), "\(parts)") }
    }

    @Test func promotionMovesWorkAheadAndChangesItsDeadline() throws {
        var planner = BatchPlanner(policy: try BatchPolicy(maxBatchSize: 1))
        _ = planner.addLane(0, device: 0, now: 0)
        _ = try planner.enqueue([Item(id: 0, tokens: 1)], now: 0)
        _ = try planner.enqueue((1...3).map { Item(id: $0, tokens: 1, deadline: ms(10), priority: .low) }, now: 0)
        planner.promote(id: 2, to: .high, deadline: ms(30))
        planner.promote(id: 3, to: .low, deadline: nil)
        planner.promote(id: 99, to: .high, deadline: nil)
        // A later deadline counts, an earlier one does not shorten.
        planner.promote(id: 2, to: .medium, deadline: ms(5))
        #expect(planner.laneFinished(0, now: ms(20)) == [.expire(ids: [1]), .launch(lane: 0, ids: [2])])
        #expect(planner.laneFinished(0, now: ms(40)) == [.launch(lane: 0, ids: [3])])
    }
}
