import ApusBatching
import ApusErrors
import Testing

@Suite struct AdmissionTests {
    typealias Item = BatchPlanner.Item

    /// Devices that need 100 us for a token whatever the batch: 10,000 tokens a second on each lane. All lanes run something.
    private func planner(lanes: Int = 1, maxQueue: Duration = .seconds(1), queuedTokens: Int = 1000) throws -> BatchPlanner {
        var planner = BatchPlanner(policy: try BatchPolicy(maxWait: .zero, maxQueue: maxQueue, maxQueuedTokens: queuedTokens))
        for lane in 0..<lanes { _ = planner.addLane(lane, device: 0, now: 0) }
        for step in 0..<40 {
            let shape = BatchShape(lengths: Array(repeating: 10, count: 1 + step % 30))
            _ = try planner.enqueue((0..<lanes).map { Item(id: $0, tokens: 10) }, now: 0)
            for lane in 0..<lanes { _ = planner.laneFinished(lane, .init(shape: shape, nanoseconds: shape.tokens * 100_000), now: 0) }
        }
        _ = try planner.enqueue((0..<lanes).map { Item(id: $0, tokens: 10) }, now: 0)
        return planner
    }

    private func items(
        _ count: Int, from first: Int, _ priority: Priority = .medium, client: Int = 0, deadline: Int? = nil, tokens: Int = 10
    ) -> [Item] {
        (0..<count).map { Item(id: first + $0, tokens: tokens, deadline: deadline, priority: priority, client: client) }
    }

    /// The code and wait of the refusal of `work`.
    private func refusal(_ work: () throws -> Void) -> (code: ApusError.Code, seconds: Double)? {
        do {
            try work()
            return nil
        } catch {
            guard let error = error as? ApusError, let wait = error.cause as? QueueWait else { return nil }
            return (error.code, wait.seconds)
        }
    }

    @Test func theQueueIsMeasuredInSecondsOfWork() throws {
        var planner = try planner()
        // 1 s at 10,000 tokens per second.
        _ = try planner.enqueue(items(990, from: 100), now: 0)
        let refused = refusal { _ = try planner.enqueue(items(60, from: 5000), now: 0) }
        #expect(refused?.code == .overloaded)
        // 10,500 tokens would wait, 500 too many.
        #expect(abs((refused?.seconds ?? 0) - 0.05) < 0.01)
        #expect(planner.waitingCount == 990)
        _ = try planner.enqueue(items(5, from: 6000), now: 0)
        _ = try planner.enqueue(items(60, from: 7000), .continuing, now: 0)
    }

    @Test func theBeginningOfARequestIsWeighedAsTheWhole() throws {
        var planner = try planner()
        _ = try planner.enqueue(items(500, from: 100), now: 0)
        let refused = refusal { _ = try planner.enqueue(items(60, from: 5000), .first(part: 0.1), now: 0) }
        #expect(refused?.code == .overloaded)
        // 11,000 tokens would wait, 1,000 too many.
        #expect(abs((refused?.seconds ?? 0) - 0.1) < 0.01)
        _ = try planner.enqueue(items(60, from: 6000), .first(part: 0.2), now: 0)
        #expect(planner.waitingCount == 560)
        #expect(refusal { _ = try planner.enqueue(items(1, from: 7000), .first(part: .leastNonzeroMagnitude), now: 0) }?.code == .overloaded)
    }

    @Test func moreLanesTakeMore() throws {
        var planner = try planner(lanes: 4)
        _ = try planner.enqueue(items(3900, from: 100), now: 0)
        #expect(refusal { _ = try planner.enqueue(items(200, from: 5000), now: 0) }?.code == .overloaded)
    }

    @Test func lessCapacityOpensLess() throws {
        var planner = try planner()
        planner.capacity = 0.5
        _ = try planner.enqueue(items(490, from: 100), now: 0)
        #expect(throws: ApusError.self) { try planner.enqueue(items(30, from: 5000), now: 0) }
        // Never less than a tenth.
        planner = try self.planner()
        planner.capacity = 0
        _ = try planner.enqueue(items(90, from: 100), now: 0)
        #expect(throws: ApusError.self) { try planner.enqueue(items(30, from: 5000), now: 0) }
    }

    @Test func aFloodOfLowWorkDoesNotCloseTheQueueToHigh() throws {
        var planner = try planner()
        _ = try planner.enqueue(items(1000, from: 100, .low), now: 0)
        #expect(throws: ApusError.self) { try planner.enqueue(items(1, from: 5000, .low), now: 0) }
        _ = try planner.enqueue(items(500, from: 6000, .high), now: 0)
        #expect((planner.estimatedWait(priority: .high, now: 0) ?? 9) < 0.6)
    }

    @Test func lowWorkIsTakenAtItsShareBehindAFloodOfHigh() throws {
        var planner = try planner()
        _ = try planner.enqueue(items(1000, from: 100, .high), now: 0)
        // A fifth of 10,000 tokens in a second.
        _ = try planner.enqueue(items(190, from: 5000, .low), now: 0)
        #expect(throws: ApusError.self) { try planner.enqueue(items(20, from: 6000, .low), now: 0) }
    }

    @Test func workLargerThanTheQueueIsTakenWhenNothingElseWaits() throws {
        var planner = try planner()
        _ = try planner.enqueue(items(1200, from: 100), now: 0)
        #expect(throws: ApusError.self) { try planner.enqueue(items(1, from: 5000), now: 0) }
    }

    @Test func beforeAnyBatchTokensAreCounted() throws {
        var planner = BatchPlanner(policy: try BatchPolicy(maxQueuedTokens: 100))
        _ = planner.addLane(0, device: 0, now: 0)
        _ = try planner.enqueue(items(1, from: 0), now: 0)
        #expect(planner.estimatedWait(priority: .medium, now: 0) == nil)
        _ = try planner.enqueue(items(9, from: 1), now: 0)
        let refused = refusal { _ = try planner.enqueue(items(2, from: 20), now: 0) }
        #expect(refused?.code == .overloaded && refused?.seconds == 1)
        _ = try planner.enqueue(items(2, from: 30, .high), now: 0)
    }

    @Test func sizesBeyondAllBoundsAreRefusedAndNotATrap() throws {
        var planner = BatchPlanner(policy: try BatchPolicy(maxQueuedTokens: .max))
        _ = try planner.enqueue(items(2, from: 0, deadline: .max, tokens: .max), now: .max)
        _ = try planner.enqueue(items(2, from: 10, deadline: .min, tokens: .min), .continuing, now: .min)
        _ = planner.addLane(0, device: 0, tokenBudget: .max, share: .infinity, now: 0)
        planner.setCeiling(.min, device: 0)
        _ = planner.laneFinished(0, .init(shape: BatchShape(lengths: [.max]), nanoseconds: .max, latencies: [.max, .min]), now: .max)
        _ = planner.putBack([.init(items(2, from: 20, tokens: .max))], now: .min)
        _ = planner.estimatedWait(priority: .low, now: .min)
        _ = planner.tick(now: .max)
    }

    @Test func aKeyHasALimitOfItsOwn() throws {
        var planner = try planner()
        planner.limit(client: 7, seconds: 0.1)
        _ = try planner.enqueue(items(90, from: 100, client: 7), now: 0)
        let refused = refusal { _ = try planner.enqueue(items(30, from: 1000, client: 7), now: 0) }
        #expect(refused?.code == .rateLimitExceeded)
        #expect(abs((refused?.seconds ?? 0) - 0.02) < 0.005)
        _ = try planner.enqueue(items(100, from: 2000, client: 8), now: 0)
        planner.limit(client: 7, seconds: nil)
        _ = try planner.enqueue(items(30, from: 1000, client: 7), now: 0)
    }

    @Test func whileAnotherClientWaitsOneHoldsAtMostHalfOfTheQueue() throws {
        var planner = try planner()
        _ = try planner.enqueue(items(1000, from: 100, client: 1), now: 0)
        // A full queue does not shut out who has nothing in it.
        _ = try planner.enqueue(items(100, from: 5000, client: 2), now: 0)
        let refused = refusal { _ = try planner.enqueue(items(1, from: 6000, client: 1), now: 0) }
        #expect(refused?.code == .overloaded)
        #expect(abs((refused?.seconds ?? 0) - 0.5) < 0.05)
        #expect(throws: ApusError.self) { try planner.enqueue(items(500, from: 7000, client: 2), now: 0) }
    }

    @Test func whatCannotBeInTimeIsRefusedAtOnce() throws {
        var planner = try planner()
        _ = try planner.enqueue(items(500, from: 100), now: 0)
        // The wait is half a second.
        let refused = refusal { _ = try planner.enqueue(items(1, from: 5000, deadline: ms(600)), now: 0) }
        #expect(refused?.code == .overloaded)
        _ = try planner.enqueue(items(1, from: 6000, deadline: ms(900)), now: 0)
        #expect(planner.waitingCount == 501)
        // More urgent work is in time.
        _ = try planner.enqueue(items(1, from: 7000, .high, deadline: ms(200)), now: 0)
    }

    @Test func theEstimatedWaitIsThatOfTheWorkAhead() throws {
        var planner = try planner(lanes: 2)
        _ = try planner.enqueue(items(400, from: 100), now: 0)
        #expect(abs((planner.estimatedWait(priority: .medium, now: 0) ?? 0) - 0.2) < 0.02)
        #expect((planner.estimatedWait(priority: .high, now: 0) ?? 9) < 0.01)
        planner.removeLane(0)
        #expect(abs((planner.estimatedWait(priority: .medium, now: 0) ?? 0) - 0.4) < 0.04)
        planner.removeLane(1)
        #expect(planner.estimatedWait(priority: .medium, now: 0) == nil)
    }

    /// An open loop at ten times what the lanes can do: the rest is refused, and what was taken is answered about in the time promised.
    @Test func overloadKeepsThePromise() throws {
        var random = SplitMix(state: 1)
        let plant = Plant(BatchPlanner(policy: try BatchPolicy(maxQueue: .seconds(2)))) { shape, _ in
            1e-3 + 50e-6 * Double(shape.tokens + shape.padding)
        }
        plant.addLanes(2)
        for step in 0..<2000 { plant.send((0..<60).map { _ in plant.item(random.length()) }, at: ms(10) * step) }
        plant.run(until: ms(25_000))
        #expect(plant.refused.count > 60_000)
        #expect(plant.answered.count + plant.refused.count == 120_000)
        let late = plant.latencies { _, start in start > ms(3000) }
        #expect(late.quantile(0.5) > 1.5 && late.quantile(0.99) < 2.6, "\(late.quantile(0.5)) \(late.quantile(0.99))")
    }

    /// Ten times what the lanes can do, on lanes that others slow down to 0.63 of their pace now and then: what was taken is in time, and it is
    /// nearly all that could be done.
    @Test func whatIsTakenIsInTimeOnLanesOfChangingPace() throws {
        var random = SplitMix(state: 7)
        let plant = Plant(BatchPlanner(policy: try BatchPolicy())) { _, _ in 0 }
        plant.addLanes(2)
        var (isSlow, changes) = (false, 0)
        plant.cost = { shape, _ in
            if plant.now >= changes {
                isSlow.toggle()
                changes = plant.now + Int(random.next() % (isSlow ? 800 : 1500)) * ms(1)
            }
            let seconds = 2e-3 + 60e-6 * Double(shape.tokens + shape.padding)
            return isSlow ? 1.6 * seconds : seconds
        }
        var requests: [(ids: [Int], sent: Int)] = []
        for step in 0..<8000 {
            for _ in 0..<(step % 10 < 7 ? 3 : 2) {
                let items = (0..<8).map { _ in plant.item(max(3, random.length() / 6), deadline: ms(1) * (step + 1000)) }
                requests.append((items.map(\.id), ms(1) * step))
                plant.send(items, at: ms(1) * step)
            }
        }
        plant.run(until: ms(10_000))
        let refused = Set(plant.refused)
        let taken = requests.filter { $0.sent > ms(2000) && !refused.contains($0.ids[0]) }
        let good = taken.count { request in request.ids.allSatisfy { (plant.answered[$0] ?? .max) < request.sent + ms(1000) } }
        #expect(taken.count > 500 && Double(good) >= 0.95 * Double(taken.count), "\(good) of \(taken.count) in time")
        // Of what the lanes did, next to nothing was for nothing.
        let answered = requests.filter { $0.sent > ms(2000) }.flatMap(\.ids).filter { plant.answered[$0] != nil }.count
        #expect(Double(8 * good) >= 0.95 * Double(answered), "\(8 * good) of \(answered) answered texts were of requests in time")
    }
}
