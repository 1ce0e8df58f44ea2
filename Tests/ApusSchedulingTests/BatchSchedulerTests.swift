import ApusBatching
import ApusErrors
import ApusScheduling
import ApusTensor
import NIOConcurrencyHelpers
import Testing

@Suite("A scheduler", .timeLimit(.minutes(1))) struct BatchSchedulerTests {
    private func scheduler(_ work: Doubling, lanes: Int = 1, policy: BatchPolicy? = nil) throws -> BatchScheduler<Doubling> {
        let scheduler = BatchScheduler<Doubling>(
            model: "doubling", policy: try policy ?? BatchPolicy(), metrics: BatchMetrics(model: "doubling"))
        scheduler.open(Replica(executor: ScriptedLanes(lanes: lanes), work: work, precision: .fp32))
        return scheduler
    }

    private func run(
        _ scheduler: BatchScheduler<Doubling>, _ values: [Int], _ options: BatchOptions = BatchOptions(), tokens: Int = 1
    ) async throws -> BatchAnswers<Int> {
        try await scheduler.run(count: values.count, options) { index throws(ApusError) in Number(value: values[index], tokens: tokens) }
    }

    private func waits(_ scheduler: BatchScheduler<Doubling>, for tokens: Int) async {
        while scheduler.waitingTokens != tokens { await Task.yield() }
    }

    @Test("computes equal inputs that are on their way together once, and answers everybody")
    func sharing() async throws {
        let work = Doubling()
        work.script.hold()
        let scheduler = try scheduler(work)
        async let first = run(scheduler, [1])
        while work.script.runs.isEmpty { await Task.yield() }
        // One joins what runs, which is seen by its other input that waits; two share what waits, one of them within its own request.
        async let joined = run(scheduler, [1, 5])
        await waits(scheduler, for: 1)
        async let second = run(scheduler, [2, 3])
        await waits(scheduler, for: 3)
        async let third = run(scheduler, [3, 4, 4])
        await waits(scheduler, for: 4)
        work.script.releaseAll()
        #expect(try await first.rows.map { try $0.get() } == [2])
        #expect(try await joined.rows.map { try $0.get() } == [2, 10])
        #expect(try await second.rows.map { try $0.get() } == [4, 6])
        #expect(try await third.rows.map { try $0.get() } == [6, 8, 8])
        #expect(try await third.runs.map(\.isShared) == [true, false, true])
        #expect(work.script.runs.flatMap { $0 }.sorted() == [1, 2, 3, 4, 5])
    }

    @Test("weighs all inputs of a request, not only those that it hands over first")
    func wholeRequests() async throws {
        let work = Doubling()
        work.script.hold()
        let scheduler = try scheduler(work, policy: BatchPolicy(maxQueuedTokens: 1000))
        async let running = run(scheduler, [1])
        while work.script.runs.isEmpty { await Task.yield() }
        async let waiting = run(scheduler, [2])
        await waits(scheduler, for: 1)
        await #expect { try await run(scheduler, Array(1000..<1200), tokens: 10) } throws: { ($0 as? ApusError)?.code == .overloaded }
        #expect(scheduler.waitingTokens == 1)
        async let fitting = run(scheduler, Array(1000..<1080), tokens: 10)
        await waits(scheduler, for: 801)
        work.script.releaseAll()
        _ = try await (running, waiting)
        #expect(try await fitting.rows.map { try $0.get() } == (1000..<1080).map { $0 * 2 })
    }

    @Test("goes on with a shared input when one of those who wait for it leaves")
    func leaving() async throws {
        let work = Doubling()
        work.script.hold()
        let scheduler = try scheduler(work)
        async let first = run(scheduler, [1])
        while work.script.runs.isEmpty { await Task.yield() }
        let leaving = Task { try await run(scheduler, [2]) }
        await waits(scheduler, for: 1)
        async let staying = run(scheduler, [2, 3])
        await waits(scheduler, for: 2)
        leaving.cancel()
        await #expect { try await leaving.value } throws: { ($0 as? ApusError)?.code == .cancelled }
        work.script.releaseAll()
        #expect(try await staying.rows.map { try $0.get() } == [4, 6])
        #expect(try await first.rows.map { try $0.get() } == [2])
    }

    @Test("gives 31 of 32 their answers and tells why the last has none, in a few runs")
    func poison() async throws {
        let work = Doubling()
        let scheduler = try scheduler(work)
        let values = (0..<32).map { $0 == 13 ? Doubling.poison : $0 }
        let answers = try await run(scheduler, values, BatchOptions(isPartial: true))
        for (row, result) in answers.rows.enumerated() {
            switch result {
            case .success(let value): #expect(value == 2 * row && row != 13)
            case .failure(let error): #expect(error.code == .engineFailure && row == 13)
            }
        }
        // In units of the whole batch: the first run, its halves down to one, and the poisoned one again for certainty.
        let work32 = Double(work.script.runs.reduce(0) { $0 + $1.count }) / 32
        #expect(work32 <= 1 + 6)
        await #expect { try await run(scheduler, values) } throws: { ($0 as? ApusError)?.code == .engineFailure }
    }

    @Test("puts what is wrong with one input in its row when partial results are asked for")
    func wrongInput() async throws {
        let scheduler = try scheduler(Doubling())
        let input = { (index: Int) throws(ApusError) -> Number in
            guard index != 1 else { throw ApusError(.invalidToken, "scripted") }
            return Number(value: index)
        }
        let answers = try await scheduler.run(count: 3, BatchOptions(isPartial: true), input)
        #expect(try answers.rows[0].get() == 0 && answers.rows[2].get() == 4)
        #expect { try answers.rows[1].get() } throws: { ($0 as? ApusError)?.code == .invalidToken }
        let nothing = try await scheduler.run(count: 2, BatchOptions(isPartial: true)) { _ throws(ApusError) in
            throw ApusError(.emptyInput, "scripted")
        }
        #expect(nothing.rows.allSatisfy { if case .failure = $0 { true } else { false } })
        await #expect { try await scheduler.run(count: 3, BatchOptions(), input) } throws: { ($0 as? ApusError)?.code == .invalidToken }
    }

    @Test("halves what is too large for the memory, and remembers how much was too much")
    func ceiling() async throws {
        let work = Doubling()
        work.script.limit(100)
        let found = NIOLockedValueBox<[Int]>([])
        let scheduler = BatchScheduler<Doubling>(
            model: "doubling", policy: try BatchPolicy(), metrics: BatchMetrics(model: "doubling")
        ) { _, tokens in found.withLockedValue { $0.append(tokens) } }
        scheduler.open(Replica(executor: ScriptedLanes(), work: work, precision: .fp32))
        #expect(try await run(scheduler, Array(0..<64), tokens: 6).rows.map { try $0.get() } == (0..<64).map { 2 * $0 })
        let learned = found.withLockedValue { $0 }
        #expect(learned == learned.sorted(by: >) && (learned.last ?? 0) <= 100)
        let before = work.script.runs.count
        #expect(try await run(scheduler, Array(0..<64), tokens: 6).rows.count == 64)
        #expect(work.script.runs[before...].allSatisfy { $0.count * 6 <= learned.last ?? 0 })
    }

    @Test("serves the urgent before those who came earlier")
    func priorities() async throws {
        let work = Doubling()
        work.script.hold()
        let scheduler = try scheduler(work, policy: BatchPolicy(maxBatchSize: 2))
        async let first = run(scheduler, [1])
        while work.script.runs.isEmpty { await Task.yield() }
        async let low = run(scheduler, [10, 11, 12, 13], BatchOptions(priority: .low))
        await waits(scheduler, for: 4)
        async let high = run(scheduler, [20], BatchOptions(priority: .high))
        await waits(scheduler, for: 5)
        work.script.releaseAll()
        _ = try await (first, low, high)
        #expect(work.script.runs[1] == [20])
    }
}
