import ApusBatching
import Testing

/// Waiting for company, and the wakes that end it.
@Suite struct CompanyTests {
    typealias Item = BatchPlanner.Item

    /// Two lanes of a device whose batches cost 10 ms plus 10 us per token, known from many batches.
    private func planner(maxWait: Duration = .milliseconds(10)) throws -> BatchPlanner {
        var planner = BatchPlanner(policy: try BatchPolicy(maxWait: maxWait))
        for lane in 0..<2 { _ = planner.addLane(lane, device: 0, now: 0) }
        var id = 1_000_000
        for step in 0..<40 {
            let lengths = Array(repeating: 10, count: 1 + step % 8)
            _ = try planner.enqueue([Item(id: id, tokens: 10)], now: 0)
            id += 1
            let shape = BatchShape(lengths: lengths)
            for lane in 0..<2 {
                _ = planner.laneFinished(lane, .init(shape: shape, nanoseconds: ms(10) + 10_000 * shape.tokens), now: 0)
            }
        }
        return planner
    }

    /// The rate of arrivals is 400 per second afterwards, after a burst of 20 at once; one is in the middle of running.
    private func busy(_ planner: inout BatchPlanner) throws -> Int {
        var lane = -1
        _ = try planner.enqueue((0..<20).map { Item(id: 2000 + $0, tokens: 10) }, now: ms(1000))
        for lane in [0, 1] { _ = planner.laneFinished(lane, now: ms(1000)) }
        for step in 0..<400 {
            for case .launch(let started, _) in try planner.enqueue([Item(id: step, tokens: 10)], now: ms(1000) + ms(2.5) * step) {
                lane = started
                if step < 399 { _ = planner.laneFinished(started, now: ms(1000) + ms(2.5) * step) }
            }
        }
        return lane
    }

    @Test func aFreeLaneWaitsForCompanyWhileThatRaisesThroughput() throws {
        var planner = try planner()
        let lane = try busy(&planner)
        let now = ms(2000)
        // Some 300 arrivals a second times 10 ms are three sequences worth waiting for.
        guard case .wake(let wake)? = try planner.enqueue([Item(id: 1000, tokens: 10)], now: now).first else {
            Issue.record("the lane does not wait")
            return
        }
        #expect(wake > now + ms(7) && wake <= now + ms(10))
        #expect(try planner.enqueue([Item(id: 1001, tokens: 10)], now: now + ms(1)) == [])
        let actions = try planner.enqueue((2..<6).map { Item(id: 1000 + $0, tokens: 10) }, now: now + ms(2))
        #expect(actions == [.launch(lane: 1 - lane, ids: [1000, 1001, 1002, 1003, 1004, 1005])])
    }

    @Test func theOldestWaitsNoLongerThanTheMaximum() throws {
        var planner = try planner()
        let lane = try busy(&planner)
        let now = ms(2000)
        _ = try planner.enqueue([Item(id: 1000, tokens: 10)], now: now)
        _ = try planner.enqueue([Item(id: 1001, tokens: 10)], now: now + ms(6))
        // Early: the wake is used up, so there is another.
        #expect(planner.tick(now: now + ms(9)) == [.wake(at: now + ms(10))])
        #expect(planner.tick(now: now + ms(10)) == [.launch(lane: 1 - lane, ids: [1000, 1001])])
    }

    @Test func whenTheBusyLaneEndsNobodyWaitsAnyMore() throws {
        var planner = try planner()
        let lane = try busy(&planner)
        _ = try planner.enqueue([Item(id: 1000, tokens: 10)], now: ms(2000))
        #expect(planner.laneFinished(lane, now: ms(2001)) == [.launch(lane: lane, ids: [1000])])
    }

    @Test func whenAllAreHereNobodyIsWaitedFor() throws {
        var planner = try planner()
        let lane = try busy(&planner)
        _ = try planner.enqueue((0..<30).map { Item(id: 3000 + $0, tokens: 10) }, now: ms(2000))
        #expect(planner.laneFinished(lane, now: ms(2001)) == [])
        // All thirty run; so many were never here before, so there is nobody left to come.
        #expect(try planner.enqueue([Item(id: 4000, tokens: 10)], now: ms(2002)) == [.launch(lane: lane, ids: [4000])])
    }

    @Test func withoutAMaximumWaitNothingWaits() throws {
        var planner = try planner(maxWait: .zero)
        let lane = try busy(&planner)
        #expect(try planner.enqueue([Item(id: 1000, tokens: 10)], now: ms(2000)) == [.launch(lane: 1 - lane, ids: [1000])])
    }

    @Test func aFullBatchDoesNotWait() throws {
        var planner = try planner()
        let lane = try busy(&planner)
        #expect(try planner.enqueue([Item(id: 1000, tokens: 384)], now: ms(2000)) == [.launch(lane: 1 - lane, ids: [1000])])
    }

    @Test func oneClientThatSendsOneAfterTheOtherNeverWaits() throws {
        let plant = Plant(BatchPlanner(policy: try BatchPolicy())) { shape, _ in 5e-4 + 1e-6 * Double(shape.tokens) }
        plant.addLanes(4)
        plant.reply = { _, plant in [plant.item(10)] }
        plant.enqueue([plant.item(10)])
        plant.run(until: ms(5000))
        #expect(plant.batches.count > 9000)
        #expect(plant.batches.allSatisfy { $0.start == plant.enqueued[$0.ids[0]] })
    }

    @Test func whenNothingComesForAWhileNothingMoreIsExpected() throws {
        var planner = try planner(maxWait: .seconds(1))
        let lane = try busy(&planner)
        let now = ms(2000)
        guard case .wake(let wake)? = try planner.enqueue([Item(id: 1000, tokens: 10)], now: now).first else {
            Issue.record("the lane does not wait")
            return
        }
        // Three mean intervals of some 300 arrivals per second.
        #expect(wake > now + ms(7) && wake < now + ms(15))
        #expect(planner.tick(now: wake) == [.launch(lane: 1 - lane, ids: [1000])])
    }

    /// Independent arrivals below what the lanes can do: the same work in fewer batches, so that more of the lanes' time is left.
    @Test func waitingSavesTheFixedCostOfBatches() throws {
        func busySeconds(_ maxWait: Duration) throws -> (Double, Int) {
            var random = SplitMix(state: 1)
            let plant = Plant(BatchPlanner(policy: try BatchPolicy(maxWait: maxWait))) { shape, _ in 4e-3 + 10e-6 * Double(shape.tokens) }
            plant.addLanes(4)
            for _ in 0..<8000 { plant.send([plant.item(random.length())], at: Int.random(in: 0..<ms(8000), using: &random)) }
            plant.run(until: ms(9000))
            return (plant.batches.reduce(0) { $0 + Double($1.end - $1.start) * 1e-9 }, plant.answered.count)
        }
        let (waiting, answered) = try busySeconds(.milliseconds(10))
        let (atOnce, answeredAtOnce) = try busySeconds(.zero)
        #expect(answered == 8000 && answeredAtOnce == 8000)
        #expect(waiting < 0.9 * atOnce, "\(waiting) \(atOnce)")
    }

    /// Clients that send one after the other stop arriving while they wait: waiting for them must not cost throughput.
    @Test(arguments: [2, 3, 5, 16, 64]) func clientsThatSendOneAfterTheOtherGetNoLessForTheWait(clients: Int) throws {
        func answered(_ maxWait: Duration) throws -> Int {
            let plant = Plant(BatchPlanner(policy: try BatchPolicy(maxWait: maxWait))) { shape, _ in 2e-3 + 10e-6 * Double(shape.tokens) }
            plant.addLanes(2)
            plant.reply = { _, plant in [plant.item(10)] }
            plant.thinkTime = 50_000
            for client in 0..<clients { plant.send([plant.item(10)], at: client * 100_000) }
            plant.run(until: ms(10_000))
            return plant.answered.count
        }
        let (waiting, atOnce) = (try answered(.milliseconds(10)), try answered(.zero))
        #expect(Double(waiting) >= 0.95 * Double(atOnce), "\(waiting) \(atOnce)")
    }
}
