import ApusBatching
import ApusErrors
import ApusScheduling
import ApusTensor
import Dispatch
import NIOConcurrencyHelpers
import Testing

@Suite("The lanes of a device", .timeLimit(.minutes(1))) struct DeviceLanesTests {
    private func scheduler(_ name: String, _ work: Doubling, _ lanes: DeviceLanes, _ executor: ScriptedLanes, weight: Double = 1) throws
        -> BatchScheduler<Doubling>
    {
        let scheduler = BatchScheduler<Doubling>(
            model: name, policy: try BatchPolicy(maxBatchSize: 1), weight: weight, metrics: BatchMetrics(model: name))
        scheduler.open(Replica(executor: executor, work: work, lanes: lanes, precision: .fp32))
        return scheduler
    }

    @Test("are shared by models in proportion to their weights, and never run more than there are")
    func weights() async throws {
        let executor = ScriptedLanes(lanes: 2)
        let lanes = DeviceLanes(executor)
        let order = NIOLockedValueBox<(running: Int, most: Int, order: [(name: String, seconds: Double)])>((0, 0, []))
        let batch = { (name: String) -> DeviceLanes.Batch in
            { _ in
                order.withLockedValue {
                    $0.running += 1
                    $0.most = max($0.most, $0.running)
                }
                // Lane time is what is shared. On a busy machine a batch takes longer than it means to, and counts for as long as it took.
                let began = ContinuousClock.now
                while ContinuousClock.now < began + .milliseconds(1) {}
                order.withLockedValue {
                    $0.running -= 1
                    $0.order.append((name, began.duration(to: .now) / .seconds(1)))
                }
            }
        }
        // Nobody begins before both want lanes, however long submitting takes.
        let gate = DispatchSemaphore(value: 0)
        for _ in 0..<2 {
            lanes.submit("both", weight: 1) { _ in
                order.withLockedValue {
                    $0.running += 1
                    $0.most = max($0.most, $0.running)
                }
                gate.wait()
                order.withLockedValue { $0.running -= 1 }
            }
        }
        while order.withLockedValue({ $0.running < 2 }) { await Task.yield() }
        for _ in 0..<150 { lanes.submit("heavy", weight: 3, batch("heavy")) }
        for _ in 0..<150 { lanes.submit("light", weight: 1, batch("light")) }
        for _ in 0..<2 { gate.signal() }
        while order.withLockedValue({ $0.order.count < 300 || $0.running > 0 }) { try await Task.sleep(for: .milliseconds(1)) }
        let (most, all) = order.withLockedValue { ($0.most, $0.order) }
        #expect(most == 2)
        // While both want lanes, which is until the heavy one has run.
        let heavyEnds = try #require(all.lastIndex { $0.name == "heavy" })
        let together = all[...heavyEnds]
        let share = together.filter { $0.name == "heavy" }.reduce(0) { $0 + $1.seconds } / together.reduce(0) { $0 + $1.seconds }
        #expect(share > 0.6 && share < 0.9)
    }

    @Test("let a model choose its batch anew when another was in the way")
    func choosingAnew() async throws {
        let executor = ScriptedLanes()
        let lanes = DeviceLanes(executor)
        let (busy, chosen) = (Doubling(), Doubling())
        busy.script.hold()
        let other = try scheduler("other", busy, lanes, executor)
        let mine = try scheduler("mine", chosen, lanes, executor)
        async let blocking = other.run(count: 1) { _ throws(ApusError) in Number(value: 1) }
        while busy.script.runs.isEmpty { await Task.yield() }
        // Its planner has a lane and gives it the low one; the device has none, so the high one may still overtake.
        async let low = mine.run(count: 1, BatchOptions(priority: .low)) { _ throws(ApusError) in Number(value: 10) }
        async let alsoLow = mine.run(count: 1, BatchOptions(priority: .low)) { _ throws(ApusError) in Number(value: 11) }
        while mine.waitingTokens < 1 { await Task.yield() }
        async let high = mine.run(count: 1, BatchOptions(priority: .high)) { _ throws(ApusError) in Number(value: 20) }
        while mine.waitingTokens < 2 { await Task.yield() }
        busy.script.releaseAll()
        _ = try await (blocking, low, alsoLow, high)
        #expect(chosen.script.runs.first == [20])
        #expect(chosen.script.runs.flatMap { $0 }.sorted() == [10, 11, 20])
    }

    @Test("lose nothing of a batch whose device goes while it waits for another model's")
    func closingWhileWaiting() async throws {
        let executor = ScriptedLanes()
        let lanes = DeviceLanes(executor)
        let (busy, waiting) = (Doubling(), Doubling())
        busy.script.hold()
        let other = try scheduler("other", busy, lanes, executor)
        let mine = try scheduler("mine", waiting, lanes, executor)
        async let blocking = other.run(count: 1) { _ throws(ApusError) in Number(value: 1) }
        while busy.script.runs.isEmpty { await Task.yield() }
        async let first = mine.run(count: 1) { _ throws(ApusError) in Number(value: 10) }
        // Given to the device's only lane and not there yet, which is when the second has to wait in the planner's line.
        async let second = mine.run(count: 1) { _ throws(ApusError) in Number(value: 11) }
        while mine.waitingTokens < 1 { await Task.yield() }
        mine.close(executor.device)
        busy.script.releaseAll()
        _ = try await blocking
        mine.open(Replica(executor: ScriptedLanes(DeviceID(.cpu, 1)), work: waiting, precision: .fp32))
        #expect(try await first.rows.map { try $0.get() } == [20])
        #expect(try await second.rows.map { try $0.get() } == [22])
        // Equal inputs do not wait for the lost ones either.
        let again = try await mine.run(count: 1) { _ throws(ApusError) in Number(value: 10) }
        #expect(try again.rows[0].get() == 20)
    }

    @Test("run nothing beside a batch that wants the device to itself, of whatever model")
    func seclusion() async throws {
        let executor = ScriptedLanes(lanes: 3)
        let lanes = DeviceLanes(executor)
        let state = NIOLockedValueBox<(running: Int, beside: Int, done: Int)>((0, 0, 0))
        for index in 0..<60 {
            let isAlone = index % 7 == 3
            lanes.submit("model \(index % 3)", weight: 1, alone: isAlone) { _ in
                let others = state.withLockedValue { state in
                    state.running += 1
                    return state.running - 1
                }
                let end = ContinuousClock.now + .microseconds(200)
                while ContinuousClock.now < end {}
                state.withLockedValue { state in
                    if isAlone { state.beside += others + state.running - 1 }
                    state.running -= 1
                    state.done += 1
                }
            }
        }
        while state.withLockedValue({ $0.done < 60 }) { await Task.yield() }
        #expect(state.withLockedValue { $0.beside } == 0)
    }
}
