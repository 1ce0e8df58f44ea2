import ApusErrors
import ApusExecution
import ApusSimulation
import ApusTensor
import Foundation
import Testing

/// Doubles numbers. Shared by the tests of both executors.
enum Doubling {
    static func script(_ change: (inout SimulatedScript) -> Void = { _ in }) -> SimulatedScript {
        var script = SimulatedScript(
            inputs: [ValueDescription("x", .float32, [.symbolic("N")])], outputs: [ValueDescription("y", .float32, [.symbolic("N")])]
        ) { inputs, _ in
            guard let x = inputs["x"]?.float32 else { return .failure(ApusError(.engineFailure, "x is missing")) }
            return .success(HostTensor([x.count], .float32(x.map { 2 * $0 })))
        }
        change(&script)
        return script
    }

    static func input(_ values: [Float]) -> [String: HostTensor] { ["x": HostTensor([values.count], .float32(values))] }
}

extension Executor {
    /// Runs one step on a lane.
    func runOnLane(_ model: any LoadedModel, _ values: [Float]) async -> Result<HostTensor, ApusError> {
        await withCheckedContinuation { continuation in
            submit {
                continuation.resume(
                    returning: Result { () throws(ApusError) in
                        try model.run(Doubling.input(values), output: 0, memory: .kept)
                    })
            }
        }
    }

    func loadAnything() async throws -> any LoadedModel { try await load(LoadRequest(name: "m", source: .file("m.onnx"))) }
}

extension Result<HostTensor, ApusError> {
    var values: [Float]? { (try? get())?.float32 }
    var code: ApusError.Code? { if case .failure(let error) = self { error.code } else { nil } }
}

/// Does what blocks on a thread that is not one of Swift's cooperative pool.
func onThread(_ work: @escaping @Sendable () -> Void) async {
    await withCheckedContinuation { continuation in
        Thread.detachNewThread {
            work()
            continuation.resume()
        }
    }
}

/// Remembers how simulated workers ended.
final class Deaths: @unchecked Sendable {
    // Guarded by `lock`.
    private let lock = NSLock()
    private var list: [DeviceFailure] = []

    var all: [DeviceFailure] { lock.withLock { list } }
    func append(_ failure: DeviceFailure) { lock.withLock { list.append(failure) } }
}

@Suite struct SimulatedExecutorTests {
    private let device = DeviceID(.sim, 0)

    private func schedule(_ entries: ChaosScript.Entry...) -> ChaosSchedule {
        ChaosSchedule(ChaosScript(entries), device: device, now: { 0 })
    }

    @Test func stepsComputeWhatTheScriptSays() async throws {
        let executor = SimulatedExecutor(device: device, Doubling.script(), clock: VirtualClock(.immediate))
        let model = try await executor.loadAnything()
        #expect(await executor.runOnLane(model, [1, 2]).values == [2, 4])
        #expect(model.inputs.map(\.name) == ["x"] && model.outputs.map(\.name) == ["y"])
    }

    @Test func stepsTakeTheTimeTheScriptSays() async throws {
        let clock = VirtualClock(.immediate)
        let script = Doubling.script {
            $0.cost = .init(fixed: 1000, perElement: 10)
            $0.loadTime = 50
        }
        let executor = SimulatedExecutor(
            device: device, script, clock: clock,
            faults: schedule(.init(device, .slow, .run(2)), .init(device, .throttle, .run(3))))
        let model = try await executor.loadAnything()
        var times: [Int] = [clock.now]
        for _ in 0..<4 {
            let began = clock.now
            _ = await executor.runOnLane(model, [1, 2, 3])
            times.append(clock.now - began)
        }
        #expect(times == [50, 1030, 5150, 2060, 1030])
    }

    @Test(.timeLimit(.minutes(1))) func lanesRunAtTheSameTime() async throws {
        let clock = VirtualClock(.stepped)
        let executor = SimulatedExecutor(
            device: device, lanes: 3, Doubling.script { $0.cost = .init(fixed: 1000) }, clock: clock)
        let model = try await executor.loadAnything()
        async let first = executor.runOnLane(model, [1])
        async let second = executor.runOnLane(model, [2])
        async let third = executor.runOnLane(model, [3])
        await onThread {
            clock.waitForWaiting(3)
            clock.advance(by: 1000)
        }
        #expect(await [first.values, second.values, third.values] == [[2], [4], [6]])
        #expect(clock.now == 1000)
    }

    @Test(arguments: [(StepFault.crash, DeviceFailure.crashed), (.sticky, .sticky), (.hang, .hung)])
    func aFatalFailureEndsTheWorkerForGood(fault: StepFault, cause: DeviceFailure) async throws {
        let deaths = Deaths()
        let executor = SimulatedExecutor(
            device: device, Doubling.script(), clock: VirtualClock(.immediate), faults: schedule(.init(device, fault, .run(2))),
            died: deaths.append)
        let model = try await executor.loadAnything()
        #expect(await executor.runOnLane(model, [1]).values == [2])
        #expect(await executor.runOnLane(model, [1]).code?.rawValue == cause.rawValue)
        #expect(executor.death == cause && deaths.all == [cause])
        #expect(await executor.runOnLane(model, [1]).code == .deviceUnavailable)
        await #expect(throws: ApusError.self) { try await executor.loadAnything() }
        await #expect(throws: ApusError.self) { try await executor.memory() }
    }

    @Test(.timeLimit(.minutes(1))) func aKillFailsWhatIsRunningAtOnce() async throws {
        let (clock, deaths) = (VirtualClock(.stepped), Deaths())
        let executor = SimulatedExecutor(
            device: device, lanes: 2, Doubling.script { $0.cost = .init(fixed: 1_000_000) }, clock: clock, died: deaths.append)
        let model = try await executor.loadAnything()
        async let first = executor.runOnLane(model, [1])
        async let second = executor.runOnLane(model, [2])
        await onThread {
            clock.waitForWaiting(2)
            executor.kill()
        }
        #expect(await first.code == .workerKilled)
        #expect(await second.code == .workerKilled)
        #expect(clock.now == 0 && deaths.all == [.killed])
    }

    @Test func outOfMemoryLeavesTheWorkerAlive() async throws {
        let executor = SimulatedExecutor(
            device: device, Doubling.script(), clock: VirtualClock(.immediate), faults: schedule(.init(device, .oom, .run(1))))
        let model = try await executor.loadAnything()
        #expect(await executor.runOnLane(model, [1]).code == .outOfMemory)
        #expect(await executor.runOnLane(model, [1]).values == [2])
    }

    @Test func aLostDeviceSaysSo() async throws {
        let executor = SimulatedExecutor(
            device: device, Doubling.script(), clock: VirtualClock(.immediate), faults: schedule(.init(device, .lost, .run(1))))
        let model = try await executor.loadAnything()
        for _ in 0..<2 { #expect(await executor.runOnLane(model, [1]).code == .deviceLost) }
    }

    @Test func knownAnswersAreNeverMadeToFail() async throws {
        let schedule = schedule(.init(device, .crash, .run(1)))
        let executor = SimulatedExecutor(device: device, Doubling.script(), clock: VirtualClock(.immediate), faults: schedule)
        let model = try await executor.loadAnything()
        for _ in 0..<3 {
            let answer = try await executor.prepare { () throws(ApusError) in
                try model.run(Doubling.input([4]), output: 0, memory: .kept)
            }
            #expect(answer.float32 == [8])
        }
        #expect(executor.stepCount == 3)
        #expect(await executor.runOnLane(model, [1]).code == .workerCrashed)
    }

    @Test func aPoisonedInputFailsEveryStepItIsIn() async throws {
        let script = Doubling.script { script in
            script.poison = { inputs in
                let values = inputs["x"]?.float32 ?? []
                return values.contains(666) ? .fault(.crash) : values.contains(13) ? .fails : nil
            }
        }
        let executor = SimulatedExecutor(device: device, script, clock: VirtualClock(.immediate))
        let model = try await executor.loadAnything()
        for _ in 0..<2 { #expect(await executor.runOnLane(model, [1, 13]).code == .engineFailure) }
        #expect(await executor.runOnLane(model, [1, 2]).values == [2, 4])
        #expect(await executor.runOnLane(model, [666]).code == .workerCrashed)
    }

    @Test func aScheduleOutlivesTheWorkerItEnded() async throws {
        let schedule = schedule(.init(device, .crash, .run(2), count: 2))
        var codes: [ApusError.Code?] = []
        for _ in 0..<3 {
            let executor = SimulatedExecutor(device: device, Doubling.script(), clock: VirtualClock(.immediate), faults: schedule)
            let model = try await executor.loadAnything()
            while executor.death == nil, codes.count < 5 { codes.append(await executor.runOnLane(model, [1]).code) }
        }
        #expect(codes == [nil, .workerCrashed, .workerCrashed, nil, nil])
    }

    @Test func anExecutorThatWasShutDownIsUnavailable() async throws {
        let deaths = Deaths()
        let executor = SimulatedExecutor(device: device, Doubling.script(), clock: VirtualClock(.immediate), died: deaths.append)
        let model = try await executor.loadAnything()
        await executor.shutdown()
        #expect(await executor.runOnLane(model, [1]).code == .deviceUnavailable)
        #expect(deaths.all == [])
    }

    @Test func costsThatOverflowAreNoTrap() async throws {
        let clock = VirtualClock(.immediate)
        let executor = SimulatedExecutor(
            device: device, Doubling.script { $0.cost = .init(fixed: .max, perElement: .max) }, clock: clock,
            faults: schedule(.init(device, .slow, .run(1))))
        let model = try await executor.loadAnything()
        #expect(await executor.runOnLane(model, [1, 2]).values == [2, 4])
        #expect(clock.now == .max)
    }

    @Test func theMonotonicClockWaitsAndCanBeInterrupted() {
        let clock = MonotonicClock()
        let began = clock.now
        clock.wait(2_000_000) { false }
        #expect(clock.now - began >= 2_000_000)
        clock.wait(.max) { true }
    }
}
