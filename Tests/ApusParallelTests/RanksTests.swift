import ApusErrors
import ApusExecution
import ApusParallel
import ApusSimulation
import ApusTensor
import NIOConcurrencyHelpers
import Testing

@Suite("Ranks of a stage", .serialized, .timeLimit(.minutes(2))) struct RanksTests {
    private let clock = QuietClock()

    private func run(_ group: GroupExecutor, _ model: any LoadedModel, steps: Int) async -> [Result<HostTensor, ApusError>] {
        await withTaskGroup(of: (Int, Result<HostTensor, ApusError>).self) { tasks in
            for step in 0..<steps { tasks.addTask { (step, await group.runOnLane(model, [Float(step)])) } }
            var results: [Int: Result<HostTensor, ApusError>] = [:]
            for await (step, result) in tasks { results[step] = result }
            return (0..<steps).compactMap { results[$0] }
        }
    }

    @Test("add up what they computed, each step with those of the same step", arguments: [2, 3, 8])
    func sums(ranks: Int) async throws {
        defer { clock.stop() }
        let group = try Stages.summing(ranks, clock: clock)
        let model = try await group.load(Stages.request(1))
        let results = await run(group, model, steps: 40)
        let offset = Float(ranks * (ranks - 1) / 2)
        #expect(results.map(\.values) == (0..<40).map { [Float(ranks * $0) + offset] })
        // They compute at the same time: 40 steps take the time of 40, not of all ranks.
        let state = try #require(try await group.groupState())
        #expect(state.activeNanoseconds == 40 * Stages.millisecond)
        #expect(state.stages[0].allSatisfy { $0.steps == 40 && $0.busyNanoseconds == 40 * Stages.millisecond })
        await group.shutdown()
    }

    @Test("are woken when one of them fails, and the next step works")
    func failedRank() async throws {
        defer { clock.stop() }
        let group = try Stages.summing(3, clock: clock, faults: [1: Faults([2: .oom])])
        let model = try await group.load(Stages.request(1))
        #expect(await group.runOnLane(model, [1]).values == [6])
        let failure = await group.runOnLane(model, [1]).failure
        #expect(failure?.code == .outOfMemory && failure?.message.hasPrefix("stage 0, rank 1 on sim:1: ") == true)
        #expect(await group.runOnLane(model, [1]).values == [6])
        await group.shutdown()
    }

    @Test("end with one of them that dies, and none of the others waits for it", arguments: [
        (StepFault.crash, DeviceFailure.crashed), (.sticky, .sticky), (.lost, .lost),
    ])
    func deadRank(fault: StepFault, death: DeviceFailure) async throws {
        defer { clock.stop() }
        let failures = NIOLockedValueBox<[GroupFailure]>([])
        let group = try Stages.summing(
            4, clock: clock, faults: [2: Faults([3: fault])], onFailure: { failure in failures.withLockedValue { $0.append(failure) } })
        let model = try await group.load(Stages.request(1))
        let results = await run(group, model, steps: 12)
        #expect(results.count(where: { $0.values != nil }) == 2)
        #expect(results.count(where: { $0.failure?.deviceFailure == death }) == 1)
        #expect(results.count(where: { $0.failure?.deviceFailure == .unavailable }) == 9)
        let told = failures.withLockedValue { $0 }
        #expect(told.map(\.rank) == [2] && told.first?.device == DeviceID(.sim, 2))
        await group.shutdown()
    }

    @Test("name the one that does not come to the sum, when nobody else finds out")
    func hungRank() async throws {
        defer { clock.stop() }
        let stuck = VirtualClock(.stepped)
        let failures = NIOLockedValueBox<[GroupFailure]>([])
        // Rank 1's step never ends: its clock stands still.
        let members = try [0, 1].map { rank -> any Executor in
            try #require(
                Stages.summing(2, clock: rank == 0 ? VirtualClock(.immediate) : stuck).members.first?.dropFirst(rank).first)
        }
        let group = try GroupExecutor(
            [members],
            options: GroupOptions(
                sumTimeout: .milliseconds(50), onFailure: { failure in failures.withLockedValue { $0.append(failure) } }))
        let model = try await group.load(Stages.request(1))
        let results = await run(group, model, steps: 3)
        #expect(results.compactMap(\.failure?.deviceFailure).sorted { $0.rawValue < $1.rawValue } == [.hung, .unavailable, .unavailable])
        #expect(failures.withLockedValue { $0.map(\.device) } == [DeviceID(.sim, 1)])
        await group.shutdown()
    }
}
