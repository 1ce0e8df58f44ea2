import ApusBatching
import ApusErrors
import ApusScheduling
import ApusTensor
import NIOConcurrencyHelpers
import Testing

@Suite("A model that leaves", .timeLimit(.minutes(1))) struct DrainingTests {
    private static let gone = ApusError(.modelUnloaded, "unloaded by the test")

    private func scheduler(_ work: Doubling, _ lanes: DeviceLanes) throws -> BatchScheduler<Doubling> {
        let scheduler = BatchScheduler<Doubling>(
            model: "doubling", policy: try BatchPolicy(maxBatchSize: 4), metrics: BatchMetrics(model: "doubling"))
        scheduler.open(Replica(executor: ScriptedLanes(), work: work, lanes: lanes, precision: .fp32))
        return scheduler
    }

    private func run(_ scheduler: BatchScheduler<Doubling>, _ values: [Int]) async throws -> [Int] {
        try await scheduler.run(count: values.count) { index throws(ApusError) in Number(value: values[index]) }.rows.map { try $0.get() }
    }

    @Test("answers what it accepted, refuses what comes, and then holds nothing")
    func answersWhatItAccepted() async throws {
        let work = Doubling()
        work.script.hold()
        let lanes = DeviceLanes(ScriptedLanes())
        let scheduler = try scheduler(work, lanes)
        let accepted = (0..<20).map { number in Task { try await run(scheduler, [number * 10, number * 10 + 1]) } }
        // One batch runs, all others wait.
        while scheduler.waitingTokens + (work.script.runs.first?.count ?? 0) < 40 { await Task.yield() }
        let ended = NIOLockedValueBox(false)
        let draining = Task {
            await scheduler.drain(refusing: Self.gone)
            ended.withLockedValue { $0 = true }
        }
        // What is asked for from now on is refused, sooner or later: the drain may not have begun yet.
        var refusal: ApusError?
        while refusal == nil {
            do {
                _ = try await scheduler.run(count: 1) { _ throws(ApusError) in throw Self.unwanted }
            } catch {
                refusal = error.code == .modelUnloaded ? error : nil
            }
        }
        #expect(!ended.withLockedValue { $0 })
        work.script.releaseAll()
        for (number, task) in accepted.enumerated() { #expect(try await task.value == [number * 20, number * 20 + 2]) }
        await draining.value
        await #expect { try await run(scheduler, [1]) } throws: { ($0 as? ApusError)?.code == .modelUnloaded }
        await lanes.leave("doubling")
        // A device that comes now is not for this model.
        scheduler.close(DeviceID(.cpu, 0))
        scheduler.open(Replica(executor: ScriptedLanes(), work: work, lanes: lanes, precision: .fp32))
        #expect(scheduler.openDevices.isEmpty)
    }

    @Test("does not wait for ever for a device that never comes")
    func patience() async throws {
        let scheduler = BatchScheduler<Doubling>(model: "doubling", policy: try BatchPolicy(), metrics: BatchMetrics(model: "doubling"))
        let waiting = Task { try await run(scheduler, [1]) }
        while scheduler.waitingTokens < 1 { await Task.yield() }
        await scheduler.drain(refusing: Self.gone, patience: .zero)
        await #expect { try await waiting.value } throws: { ($0 as? ApusError)?.code == .modelUnloaded }
    }

    /// Ends a request before it puts anything into the queue.
    private static let unwanted = ApusError(.invalidValue, "ended by the test")
}
