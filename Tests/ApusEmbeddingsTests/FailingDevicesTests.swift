import ApusBatching
import ApusCheckpoint
import ApusEmbeddings
import ApusErrors
import ApusExecution
import ApusGraph
import ApusScheduling
import ApusTensor
import Foundation
import Testing

/// What callers get while devices fail under them.
@Suite(.timeLimit(.minutes(1))) struct FailingDevicesTests {
    private static let directory = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fixtures/tiny/bert-mean").path
    private static let poison: Int32 = 333

    private let keeper = ReportKeeper()

    private func scheduler(_ devices: [FaultyDevice], _ policy: BatchPolicy? = nil) async throws -> BatchScheduler<SentenceEncoder> {
        let scheduler = BatchScheduler<SentenceEncoder>(
            model: "scripted", policy: try policy ?? BatchPolicy(), metrics: BatchMetrics(model: "scripted"), observer: keeper)
        for device in devices { try await open(device, in: scheduler) }
        return scheduler
    }

    private func open(_ device: FaultyDevice, in scheduler: BatchScheduler<SentenceEncoder>, fallback: FallbackStage = .none) async throws {
        let encoder = try await SentenceEncoder.load(try Checkpoint(directory: Self.directory), onto: device)
        scheduler.open(Replica(executor: device, work: encoder, precision: .fp32, fallback: fallback))
    }

    private func run(
        _ scheduler: BatchScheduler<SentenceEncoder>, _ ids: [[Int32]], deadline: ContinuousClock.Instant? = nil
    ) async throws -> Answered {
        let answers = try await scheduler.run(count: ids.count, BatchOptions(deadline: deadline)) { index throws(ApusError) in
            EncoderBatch.Sequence(ids: ids[index], typeIDs: [Int32](repeating: 0, count: ids[index].count))
        }
        return Answered(vectors: try answers.rows.flatMap { try $0.get() }, runs: answers.runs)
    }

    private struct Answered: Sendable {
        var vectors: [Float]
        var runs: [BatchAnswers<ArraySlice<Float>>.Run]
    }

    private func code(_ result: Result<Answered, any Error>) -> ApusError.Code? {
        if case .failure(let error) = result { (error as? ApusError)?.code } else { nil }
    }

    private let texts: [[Int32]] = (1...12).map { [Int32]([$0, 2, 3].prefix(1 + Int($0) % 3)) }

    private var vectors: [Float] { texts.flatMap { [Float($0.reduce(0, +)), Float($0.count)] } }

    @Test(arguments: [ApusError.Code.workerKilled, .deviceLost, .deviceUnavailable])
    func aBatchWhoseDeviceGoesRunsAsItWasOnAnother(code: ApusError.Code) async throws {
        let bad = FaultyDevice(DeviceID(.cpu, 0)) { _, _ in code }
        let good = FaultyDevice(DeviceID(.cpu, 1))
        let scheduler = try await scheduler([bad])
        async let answer = run(scheduler, texts)
        while bad.runs.isEmpty { await Task.yield() }
        try await open(good, in: scheduler)
        let answered = try await answer
        #expect(answered.vectors == vectors)
        #expect(Set(answered.runs.map(\.device)) == [good.device])
        #expect(bad.runs.count == 1 && good.runs == bad.runs)
        #expect(scheduler.openDevices == [good.device])
        #expect(keeper.reports.first.map { if case .failed = $0.result { true } else { false } } == true)
    }

    @Test(arguments: [ApusError.Code.workerCrashed, .devicePoisoned, .deviceHung])
    func anInputThatEndsTwoWorkersIsRefusedAndItsNeighboursAreServed(code: ApusError.Code) async throws {
        let poison = Self.poison
        let devices = (0..<3).map { index in
            FaultyDevice(DeviceID(.cpu, index)) { _, sequences in sequences.contains { $0.contains(poison) } ? code : nil }
        }
        let scheduler = try await scheduler(devices, BatchPolicy(tokenBudget: 4096))
        async let neighbours = run(scheduler, texts)
        let poisoned = await Task { try await run(scheduler, [[poison]]) }.result
        #expect(self.code(poisoned) == .requestQuarantined)
        #expect(try await neighbours.vectors == vectors)
        let ended = devices.flatMap(\.runs).filter { $0.contains { $0.contains(poison) } }
        #expect(ended.count == 2 && ended.last == [[poison]])
        // From now on it is refused before it reaches a device.
        let again = await Task { try await run(scheduler, [[1], [poison]]) }.result
        #expect(self.code(again) == .requestQuarantined)
        #expect(devices.flatMap(\.runs).filter { $0.contains { $0.contains(poison) } }.count == 2)
        #expect(keeper.reports.contains { if case .failed(_, .input) = $0.result { true } else { false } })
    }

    @Test func theSuspectsOfACrashAreTriedOneByOne() async throws {
        let device = FaultyDevice(DeviceID(.cpu, 0)) { _, _ in .workerCrashed }
        let spare = FaultyDevice(DeviceID(.cpu, 1))
        let scheduler = try await scheduler([device], BatchPolicy(tokenBudget: 4096))
        async let answer = run(scheduler, texts)
        while device.runs.isEmpty { await Task.yield() }
        try await open(spare, in: scheduler)
        #expect(try await answer.vectors == vectors)
        #expect(spare.runs.allSatisfy { $0.count == 1 } && spare.runs.count == texts.count)
    }

    @Test func aBatchThatIsTooLargeIsHalvedUntilItFits() async throws {
        let device = FaultyDevice(DeviceID(.cpu, 0)) { _, sequences in sequences.count > 3 ? .outOfMemory : nil }
        let scheduler = try await scheduler([device], BatchPolicy(tokenBudget: 4096))
        #expect(try await run(scheduler, texts).vectors == vectors)
        // What the first failures teach holds for the rest: nothing as large is tried again.
        let sizes = device.runs.map(\.count)
        #expect(sizes.prefix(2) == [12, 6] && sizes.dropFirst(2).filter { $0 > 3 }.count <= 1)
        #expect(sizes.filter { $0 <= 3 }.reduce(0, +) == texts.count)
        #expect(keeper.reports.allSatisfy { $0.result != .failed(.outOfMemory, .device) })
    }

    @Test func aSequenceThatFitsNowhereFailsAlone() async throws {
        let devices = (0..<2).map { index in
            FaultyDevice(DeviceID(.cpu, index)) { _, sequences in sequences.contains { $0.count > 4 } ? .outOfMemory : nil }
        }
        let scheduler = try await scheduler(devices)
        async let small = run(scheduler, texts)
        let large = await Task { try await run(scheduler, [[1, 2, 3, 4, 5]]) }.result
        #expect(code(large) == .outOfMemory)
        #expect(try await small.vectors == vectors)
    }

    @Test func anErrorThatAnotherDeviceDoesNotShareIsTheFirstDevicesOwn() async throws {
        let bad = FaultyDevice(DeviceID(.cpu, 0)) { _, _ in .engineFailure }
        let scheduler = try await scheduler([bad])
        let answer = Task { try await run(scheduler, [[7]]) }
        while bad.runs.isEmpty { await Task.yield() }
        let good = FaultyDevice(DeviceID(.cpu, 1))
        try await open(good, in: scheduler)
        let result = await answer.result
        // The retry may have reached the only device there was before the second one opened.
        if case .success(let sequences) = result {
            #expect(sequences.runs.map(\.device) == [good.device])
            #expect(keeper.reports.contains { $0.device == bad.device && $0.result == .failed(.engine, .device) })
        } else {
            #expect(bad.runs.count == 3)
        }
    }

    @Test func withoutADeviceRequestsWaitAndAreAnsweredWhenOneComes() async throws {
        let scheduler = try await scheduler([])
        async let answer = run(scheduler, texts)
        while scheduler.waitingTokens == 0 { await Task.yield() }
        try await open(FaultyDevice(DeviceID(.cpu, 0)), in: scheduler, fallback: .temporary)
        let answered = try await answer
        #expect(answered.vectors == vectors)
        #expect(answered.runs.allSatisfy { $0.fallback == .temporary })
    }

    @Test func withoutADeviceADeadlineStillPasses() async throws {
        let scheduler = try await scheduler([])
        let late = Task { try await run(scheduler, texts, deadline: .now + .milliseconds(1)) }
        while scheduler.waitingTokens == 0 { await Task.yield() }
        while scheduler.waitingTokens > 0 {
            scheduler.expireWaiting()
            await Task.yield()
        }
        #expect(code(await late.result) == .deadlineExceeded)
    }

    @Test func whenNoDeviceWillComeAllAreTold() async throws {
        let scheduler = try await scheduler([])
        let waiting = Task { try await run(scheduler, texts) }
        while scheduler.waitingTokens == 0 { await Task.yield() }
        scheduler.refuse(with: ApusError(.noDevice, "scripted"))
        #expect(code(await waiting.result) == .noDevice)
        #expect(code(await Task { try await run(scheduler, texts) }.result) == .noDevice)
        try await open(FaultyDevice(DeviceID(.cpu, 0)), in: scheduler)
        #expect(try await run(scheduler, texts).vectors == vectors)
    }

    @Test func whatRanWhenNoDeviceWasToComeIsToldToo() async throws {
        let scheduler = try await scheduler([])
        let last = FaultyDevice(DeviceID(.cpu, 0)) { _, _ in
            scheduler.refuse(with: ApusError(.noDevice, "none is left"))
            return .deviceLost
        }
        try await open(last, in: scheduler)
        let outcome = await Task { try await run(scheduler, texts) }.result
        #expect(code(outcome) == .noDevice)
        #expect(scheduler.waitingTokens == 0)
    }

    @Test func aSequenceThatIsNeverLuckyIsGivenUpInTheEnd() async throws {
        let scheduler = try await scheduler([])
        let unlucky = Task { try await run(scheduler, [[1]]) }
        while scheduler.waitingTokens == 0 { await Task.yield() }
        // Each device has it once; with the ninth its patience is at an end.
        for _ in 0..<9 {
            let device = FaultyDevice(DeviceID(.cpu, 0)) { _, _ in .workerKilled }
            try await open(device, in: scheduler)
            while device.runs.isEmpty || !scheduler.openDevices.isEmpty { await Task.yield() }
        }
        #expect(code(await unlucky.result) == .workerKilled)
    }

    /// Devices come, fail in every way and go while many callers ask: each is answered once and rightly, or told an error of a device.
    @Test(arguments: 0..<6) func nothingIsLostAndNothingIsWrongUnderRandomFailures(seed: Int) async throws {
        let scheduler = try await scheduler([])
        let codes: [ApusError.Code] = [.workerKilled, .deviceLost, .deviceUnavailable, .outOfMemory, .engineFailure]
        let callers = (0..<60).map { caller in
            Task {
                let ids = (0...(caller % 7)).map { [Int32(caller + 1), Int32($0 + 1)] }
                return (ids, await Task { try await run(scheduler, ids) }.result)
            }
        }
        let devices = Task {
            var round = seed
            while !Task.isCancelled {
                round += 1
                let (index, fails) = (round % 3, round % 4 != 0)
                let code = codes[(round / 2) % codes.count]
                try await open(
                    FaultyDevice(DeviceID(.cpu, index)) { run, _ in fails && run % 3 == 0 ? code : nil }, in: scheduler)
                try await Task.sleep(for: .microseconds(300))
            }
        }
        for caller in callers {
            let (ids, result) = await caller.value
            switch result {
            case .success(let sequences): #expect(sequences.vectors == ids.flatMap { [Float($0.reduce(0, +)), Float($0.count)] })
            case .failure(let error): #expect((error as? ApusError)?.deviceFailure != nil)
            }
        }
        devices.cancel()
        #expect(scheduler.waitingTokens == 0)
    }
}
