import ApusBatching
import ApusErrors
import Testing

@Suite struct BatchPlannerTests {
    typealias Item = BatchPlanner.Item

    private func planner(
        budget: Int = 100, size: Int = 8, queue: Int = 1000, lanes: Int = 1
    ) throws -> BatchPlanner {
        var planner = BatchPlanner(policy: try BatchPolicy(maxWait: .zero, tokenBudget: budget, maxBatchSize: size, maxQueuedTokens: queue))
        for lane in 0..<lanes { _ = planner.addLane(lane, device: lane, now: 0) }
        return planner
    }

    private func items(_ tokens: [Int], from first: Int = 0, deadline: Int? = nil) -> [Item] {
        tokens.enumerated().map { Item(id: first + $0.offset, tokens: $0.element, deadline: deadline) }
    }

    @Test func anIdleLaneStartsAtOnce() throws {
        var planner = try planner()
        #expect(try planner.enqueue(items([5]), now: 0) == [.launch(lane: 0, ids: [0])])
        #expect(planner.waitingCount == 0)
    }

    @Test func idleLanesShareTheWork() throws {
        var planner = try planner(lanes: 2)
        let actions = try planner.enqueue(items([10, 10, 10, 10]), now: 0)
        #expect(actions == [.launch(lane: 0, ids: [0, 1]), .launch(lane: 1, ids: [2, 3])])
    }

    @Test func aBatchIsBoundWhenALaneIsFreeAndNotBefore() throws {
        var planner = try planner()
        _ = try planner.enqueue(items([10]), now: 0)
        #expect(try planner.enqueue(items([10], from: 1), now: 1) == [])
        #expect(try planner.enqueue(items([10], from: 2), now: 2) == [])
        #expect(planner.laneFinished(0, now: 3) == [.launch(lane: 0, ids: [1, 2])])
    }

    @Test func neitherTheTokenBudgetNorTheSizeIsExceeded() throws {
        var planner = try planner(budget: 25, size: 3)
        _ = try planner.enqueue(items([1]), now: 0)
        _ = try planner.enqueue(items([10, 10, 10, 1, 1, 1, 1], from: 1), now: 0)
        #expect(planner.laneFinished(0, now: 1) == [.launch(lane: 0, ids: [1, 2, 4])])
        #expect(planner.laneFinished(0, now: 2) == [.launch(lane: 0, ids: [3, 5, 6])])
    }

    @Test func aSequenceOverTheBudgetRunsAlone() throws {
        var planner = try planner(budget: 16)
        _ = try planner.enqueue(items([1]), now: 0)
        _ = try planner.enqueue(items([300, 4], from: 1), now: 0)
        #expect(planner.laneFinished(0, now: 1) == [.launch(lane: 0, ids: [1])])
        #expect(planner.laneFinished(0, now: 2) == [.launch(lane: 0, ids: [2])])
    }

    @Test func theOldestGoesFirstWithItsNearestInLength() throws {
        var planner = try planner(budget: 300, size: 3)
        _ = try planner.enqueue(items([1]), now: 0)
        _ = try planner.enqueue(items([100, 5, 101, 6, 20], from: 1), now: 0)
        #expect(planner.laneFinished(0, now: 1) == [.launch(lane: 0, ids: [1, 3, 5])])
        #expect(planner.laneFinished(0, now: 2) == [.launch(lane: 0, ids: [2, 4])])
    }

    @Test func expiredWorkNeverReachesALane() throws {
        var planner = try planner()
        _ = try planner.enqueue(items([1]), now: 0)
        _ = try planner.enqueue(items([1], from: 1, deadline: 10), now: 0)
        _ = try planner.enqueue(items([1], from: 2), now: 0)
        #expect(planner.laneFinished(0, now: 10) == [.expire(ids: [1]), .launch(lane: 0, ids: [2])])
    }

    @Test func cancelledWorkNeverReachesALane() throws {
        var planner = try planner()
        _ = try planner.enqueue(items([1]), now: 0)
        _ = try planner.enqueue(items([7, 8], from: 1), now: 0)
        #expect(planner.cancel([0, 1]) == [1])
        #expect(planner.laneFinished(0, now: 1) == [.launch(lane: 0, ids: [2])])
        #expect(planner.waitingTokens == 0)
    }

    @Test func aFullQueueRefusesAllOfARequestOrNone() throws {
        var planner = try planner(queue: 20)
        _ = try planner.enqueue(items([1]), now: 0)
        _ = try planner.enqueue(items([15], from: 1), now: 0)
        #expect {
            try planner.enqueue(items([3, 3], from: 2), now: 0)
        } throws: { ($0 as? ApusError)?.code == .overloaded }
        #expect(planner.waitingCount == 1)
        #expect(try planner.enqueue(items([5], from: 9), now: 0) == [])
    }

    @Test func theRestOfARequestIsTakenWhateverWaits() throws {
        var planner = try planner(queue: 20)
        _ = try planner.enqueue(items([1]), now: 0)
        _ = try planner.enqueue(items([20], from: 1), now: 0)
        #expect(throws: ApusError.self) { try planner.enqueue(items([9], from: 2), now: 0) }
        _ = try planner.enqueue(items([9], from: 2), .continuing, now: 0)
        #expect(planner.waitingTokens == 29)
    }

    @Test func aLongSequenceIsNotJoinedByManyShortOnes() throws {
        var planner = try planner(budget: 100, size: 64)
        _ = try planner.enqueue(items([1]), now: 0)
        _ = try planner.enqueue(items([60] + Array(repeating: 2, count: 20), from: 1), now: 0)
        // Two sequences padded to 60 stay within twice the budget, four would not.
        #expect(planner.laneFinished(0, now: 1) == [.launch(lane: 0, ids: [1, 2, 3])])
    }

    @Test func cancellingAmongManyTakesTheRightOnes() throws {
        var planner = try planner(budget: 1 << 20, size: 1 << 20, queue: .max)
        _ = try planner.enqueue(items([1]), now: 0)
        _ = try planner.enqueue(items(Array(repeating: 4, count: 3000), from: 1), now: 0)
        let gone = Array(stride(from: 1, through: 3000, by: 3)) + Array(stride(from: 3000, to: 2000, by: -7))
        let taken = planner.cancel(gone)
        #expect(Set(taken) == Set(gone) && taken.count == Set(gone).count)
        #expect(planner.laneFinished(0, now: 1) == [.launch(lane: 0, ids: (1...3000).filter { !Set(gone).contains($0) })])
    }

    @Test func deadlinesPassInTheirOrder() throws {
        var planner = try planner()
        _ = try planner.enqueue(items([1]), now: 0)
        for (id, deadline) in [(1, 30), (2, 10), (3, 20)] { _ = try planner.enqueue(items([1], from: id, deadline: deadline), now: 0) }
        #expect(planner.cancel([3]) == [3])
        #expect(planner.laneFinished(0, now: 25) == [.expire(ids: [2]), .launch(lane: 0, ids: [1])])
    }


    @Test func aLaneThatIsRemovedTakesNoMoreAndANewOneStartsAtOnce() throws {
        var planner = try planner()
        _ = try planner.enqueue(items([5]), now: 0)
        planner.removeLane(0)
        #expect(try planner.enqueue(items([5], from: 1), now: 0) == [])
        #expect(planner.laneFinished(0, now: 1) == [])
        #expect(planner.addLane(7, device: 1, now: 2) == [.launch(lane: 7, ids: [1])])
    }

    @Test func whatIsPutBackRunsFirstAndElsewhereIfItCan() throws {
        var planner = try planner(lanes: 2)
        _ = try planner.enqueue(items([10, 10]), now: 0)
        _ = try planner.enqueue(items([10], from: 2), now: 0)
        _ = planner.putBack([BatchPlanner.Replay(items([10], from: 0), avoiding: 0)], now: 1)
        #expect(planner.waitingTokens == 20)
        #expect(planner.laneFinished(0, now: 2) == [.launch(lane: 0, ids: [2])])
        #expect(planner.laneFinished(1, now: 3) == [.launch(lane: 1, ids: [0])])
        // Its old device is better than none.
        planner.removeLane(1)
        #expect(planner.putBack([BatchPlanner.Replay(items([10], from: 0), avoiding: 0)], now: 4) == [])
        #expect(planner.laneFinished(0, now: 5) == [.launch(lane: 0, ids: [0])])
    }

    @Test func whatWantsADeviceToItselfGetsIt() throws {
        var planner = try planner(lanes: 0)
        for lane in 0..<2 { _ = planner.addLane(lane, device: 0, now: 0) }
        #expect(try planner.enqueue(items([10, 10]), now: 0).count == 2)
        _ = try planner.enqueue(items([10, 10], from: 2), now: 0)
        let alone = (0..<2).map { BatchPlanner.Replay(items([5], from: 10 + $0), company: .none) }
        #expect(planner.putBack(alone, now: 1) == [])
        // The device runs dry first, then runs the two one after the other, and only then what else waits.
        #expect(planner.laneFinished(0, now: 2) == [])
        #expect(planner.laneFinished(1, now: 3) == [.launch(lane: 1, ids: [10])])
        #expect(planner.laneFinished(1, now: 4) == [.launch(lane: 1, ids: [11])])
        let rest = planner.laneFinished(1, now: 5)
        #expect(rest.count == 2)
    }

    @Test func aLaneOfASmallerShareIsAskedLastAndGivenLess() throws {
        var planner = try planner(lanes: 2)
        planner.setShare(0.2, ofLane: 0)
        #expect(try planner.enqueue(items([10]), now: 0) == [.launch(lane: 1, ids: [0])])
        #expect(try planner.enqueue(items([10, 10, 10, 10], from: 1), now: 0) == [.launch(lane: 0, ids: [1, 2])])
    }

    @Test func withoutALaneWhatWaitsExpiresWhenAsked() throws {
        var planner = try planner(lanes: 0)
        _ = try planner.enqueue(items([1, 1], deadline: 10), now: 0)
        _ = planner.putBack([BatchPlanner.Replay(items([1], from: 5, deadline: 4))], now: 1)
        #expect(planner.expire(now: 3) == [])
        #expect(planner.expire(now: 4) == [.expire(ids: [5])])
        #expect(planner.expire(now: 10) == [.expire(ids: [0, 1])])
        #expect(planner.waitingCount == 0)
    }

    @Test func lessCapacityOpensLessOfTheQueue() throws {
        var planner = try planner(queue: 100, lanes: 0)
        planner.capacity = 0.5
        _ = try planner.enqueue(items([40]), now: 0)
        #expect(throws: ApusError.self) { try planner.enqueue(items([11], from: 1), now: 0) }
        planner.capacity = 1
        #expect(try planner.enqueue(items([60], from: 1), now: 0) == [])
    }

    /// Random arrivals, completions and cancellations: nothing is lost, nothing runs twice, no limit is broken.
    @Test(arguments: 0..<50) func everyItemRunsOnceOrIsTakenBack(seed: Int) throws {
        var random = SplitMix(state: UInt64(seed))
        let lanes = Int.random(in: 1...4, using: &random)
        let budget = 64
        var planner = try planner(budget: budget, size: 5, queue: .max, lanes: lanes)
        var tokens: [Int: Int] = [:]
        var ran: [Int] = []
        var gone: Set<Int> = []
        var busy: Set<Int> = []
        var next = 0
        var running: [Int: [Int]] = [:]
        var nextLane = 1

        func apply(_ actions: [BatchPlanner.Action]) {
            for action in actions {
                guard case .launch(let lane, let ids) = action else { continue }
                #expect(busy.insert(lane).inserted)
                #expect(!ids.isEmpty && ids.count <= 5)
                #expect(ids.count == 1 || ids.reduce(0) { $0 + tokens[$1, default: 0] } <= budget)
                ran += ids
                running[lane] = ids
            }
        }

        for step in 0..<400 {
            switch Int.random(in: 0..<5, using: &random) {
            case 0, 1:
                let count = Int.random(in: 1...6, using: &random)
                let batch = (0..<count).map { Item(id: next + $0, tokens: .random(in: 1...120, using: &random)) }
                for item in batch { tokens[item.id] = item.tokens }
                next += count
                apply(try planner.enqueue(batch, now: step))
            case 2 where next > 0:
                gone.formUnion(planner.cancel([Int.random(in: 0..<next, using: &random)]))
            case 3 where step % 3 == 0:
                // A lane goes with its device; what it ran comes back, whole or one by one.
                guard let lane = busy.randomElement(using: &random) else { continue }
                busy.remove(lane)
                planner.removeLane(lane)
                let lost = (running.removeValue(forKey: lane) ?? []).map { Item(id: $0, tokens: tokens[$0, default: 0]) }
                ran.removeAll { id in lost.contains { $0.id == id } }
                let device = lane % lanes
                apply(planner.putBack(
                    Bool.random(using: &random) ? [.init(lost, avoiding: device)] : lost.map { .init([$0], avoiding: device) }, now: step))
                apply(planner.addLane(nextLane * lanes + device, device: device, now: step))
                nextLane += 1
            default:
                if let lane = busy.randomElement(using: &random) {
                    busy.remove(lane)
                    apply(planner.laneFinished(lane, now: step))
                }
            }
        }
        while let lane = busy.min() {
            busy.remove(lane)
            apply(planner.laneFinished(lane, now: 400))
        }
        #expect(Set(ran).count == ran.count)
        #expect(gone.isDisjoint(with: ran))
        #expect(Set(ran).union(gone) == Set(tokens.keys))
        #expect(planner.waitingCount == 0 && planner.waitingTokens == 0)
    }
}

