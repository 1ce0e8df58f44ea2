import ApusBatching
import ApusErrors
import ApusExecution
import ApusParallel
import ApusScheduling
import ApusSimulation
import ApusTensor
import NIOConcurrencyHelpers
import Testing

/// A number that fills a batch by itself.
private struct Number: BatchInput {
    var value: Float
    var tokens: Int { 256 }
    var identity: Int? { nil }
}

/// A scripted model on an executor of one device or of a group.
private struct Scripted: BatchWork {
    let model: any LoadedModel

    func run(_ inputs: [Number]) throws(ApusError) -> [Float] {
        try model.run(Stages.inputs(inputs.map(\.value)), output: 0, memory: .kept).float32 ?? []
    }
}

@Suite("The scheduler", .serialized, .timeLimit(.minutes(2))) struct SchedulingTests {
    private let clock = QuietClock()

    private func scheduler(batch: Int = 1) throws -> BatchScheduler<Scripted> {
        BatchScheduler<Scripted>(
            model: "scripted", policy: try BatchPolicy(maxWait: .zero, tokenBudget: 256 * batch, maxBatchSize: batch, maxQueue: .seconds(3600)),
            metrics: BatchMetrics(model: "scripted"))
    }

    private func open(_ executor: any Executor, stages: Int, on scheduler: BatchScheduler<Scripted>) async throws {
        let model = try await executor.load(Stages.request(stages))
        scheduler.open(Replica(executor: executor, work: Scripted(model: model), precision: .fp32))
    }

    private func run(_ scheduler: BatchScheduler<Scripted>, _ count: Int) async throws -> [Float] {
        try await scheduler.run(count: count) { index throws(ApusError) in Number(value: Float(index)) }.rows.map { try $0.get() }
    }

    private func devices(_ costs: [Int]) -> [SimulatedExecutor] {
        costs.enumerated().map { SimulatedExecutor(device: DeviceID(.sim, $0.offset), Stages.script(0, of: 1, cost: $0.element), clock: clock) }
    }

    /// Nanoseconds that the clock goes by while so many inputs run on these devices.
    private func time(_ executors: [SimulatedExecutor], _ count: Int) async throws -> Int {
        let scheduler = try scheduler()
        for executor in executors { try await open(executor, stages: 1, on: scheduler) }
        let began = clock.now
        #expect(try await run(scheduler, count) == (0..<count).map { Stages.answer(Float($0), stages: 1) })
        return clock.now - began
    }

    @Test("keeps at least 90 % of eight devices busy, and answers in order")
    func dataParallel() async throws {
        defer { clock.stop() }
        let one = try await time(devices([Stages.millisecond]), 40)
        let eight = try await time(devices(Array(repeating: Stages.millisecond, count: 8)), 320)
        #expect(one == 40 * Stages.millisecond)
        // Eight times the work on eight times the devices.
        let efficiency = Double(one) / Double(eight)
        #expect(efficiency >= 0.9 && efficiency <= 1, "\(efficiency)")
    }

    @Test("gives a slow device less, as much as it is slower")
    func slowDevice() async throws {
        defer { clock.stop() }
        let costs = [1, 1, 1, 1, 1, 1, 1, 4].map { $0 * Stages.millisecond }
        let executors = devices(costs)
        let took = try await time(executors, 290)
        let steps = executors.map(\.stepCount)
        // 7 + 1/4 devices' worth: 40 ms, and what the slow one still runs when the others are done.
        #expect(took <= 44 * Stages.millisecond, "\(took)")
        #expect(steps[7] >= 9 && steps[7] <= 11 && steps[..<7].allSatisfy { $0 >= 38 && $0 <= 42 }, "\(steps)")
    }

    /// A device that is too hot is given half a batch (``FleetRecovery``), one that runs at half its clock comes for half as many batches.
    @Test("gives a hot device less, by what its share and its clock were cut", arguments: [(0.5, 1, 20), (1, 2, 20), (0.5, 2, 10)])
    func hotDevice(share: Double, slowdown: Int, inputs: Int) async throws {
        defer { clock.stop() }
        let scheduler = try scheduler(batch: 4)
        for executor in devices([1, 1, 1, 1, 1, 1, 1, slowdown].map { $0 * Stages.millisecond }) { try await open(executor, stages: 1, on: scheduler) }
        scheduler.adjust(DeviceID(.sim, 7), share: share, fallback: .none)
        let began = clock.now
        // Ten batches of four on each of seven devices.
        let answers = try await scheduler.run(count: 280 + inputs) { index throws(ApusError) in Number(value: Float(index)) }
        #expect(try answers.rows.map { try $0.get() } == (0..<(280 + inputs)).map { Stages.answer(Float($0), stages: 1) })
        let counts = (0..<8).map { device in answers.runs.count { $0.device == DeviceID(.sim, device) } }
        #expect(abs(counts[7] - inputs) <= 4 && counts[..<7].allSatisfy { abs($0 - 40) <= 4 }, "\(counts)")
        #expect(clock.now - began <= 12 * Stages.millisecond)
    }

    @Test("fills a pipeline of eight stages as far as one can be filled")
    func pipeline() async throws {
        defer { clock.stop() }
        let group = try Stages.pipeline(Array(repeating: Stages.millisecond, count: 8), clock: clock)
        let scheduler = try scheduler()
        try await open(group, stages: 8, on: scheduler)
        #expect(try await run(scheduler, 32) == (0..<32).map { Stages.answer(Float($0), stages: 8) })
        let state = try #require(try await group.groupState())
        #expect(abs(state.utilization - 32.0 / 39.0) < 0.03, "\(state.utilization)")
        await group.shutdown()
    }

    @Test("shares work between a group and devices as fast as each is")
    func hybrid() async throws {
        defer { clock.stop() }
        let scheduler = try scheduler()
        let groups = try (0..<2).map {
            try Stages.pipeline(Array(repeating: Stages.millisecond, count: 4), clock: clock, first: 4 * $0)
        }
        for group in groups { try await open(group, stages: 4, on: scheduler) }
        let began = clock.now
        #expect(try await run(scheduler, 128) == (0..<128).map { Stages.answer(Float($0), stages: 4) })
        // 64 steps on each, and the three it takes to fill the stages.
        #expect(clock.now - began <= 70 * Stages.millisecond)
        for group in groups {
            let state = try #require(try await group.groupState())
            #expect(abs(state.stages[0][0].steps - 64) <= 2)
            await group.shutdown()
        }
    }

    @Test("loses nothing when a stage dies in the middle: what was under way runs again elsewhere", arguments: [StepFault.crash, .lost, .hang])
    func failure(fault: StepFault) async throws {
        defer { clock.stop() }
        let failures = NIOLockedValueBox<[GroupFailure]>([])
        let scheduler = try scheduler()
        let dying = try Stages.pipeline(
            Array(repeating: Stages.millisecond, count: 4), clock: clock, faults: [2: Faults([20: fault])],
            onFailure: { failure in failures.withLockedValue { $0.append(failure) } })
        let other = try Stages.pipeline(Array(repeating: Stages.millisecond, count: 4), clock: clock, first: 4)
        try await open(dying, stages: 4, on: scheduler)
        try await open(other, stages: 4, on: scheduler)
        #expect(try await run(scheduler, 160) == (0..<160).map { Stages.answer(Float($0), stages: 4) })
        #expect(failures.withLockedValue { $0.map(\.device) } == [DeviceID(.sim, 2)])
        #expect(scheduler.openDevices == [DeviceID(.sim, 4)])
        let state = try #require(try await other.groupState())
        #expect(state.stages[3][0].steps >= 160 - 20)
        await dying.shutdown()
        await other.shutdown()
    }
}
