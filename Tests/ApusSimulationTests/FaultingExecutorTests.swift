import ApusErrors
import ApusExecution
import ApusSimulation
import ApusTensor
import Testing

@Suite struct FaultingExecutorTests {
    private let device = DeviceID(.cpu, 0)

    private func executor(
        _ clock: VirtualClock = VirtualClock(.immediate), _ entries: ChaosScript.Entry...
    ) throws -> FaultingExecutor {
        let inner = SimulatedExecutor(
            device: device, lanes: 2, Doubling.script { $0.cost = .init(fixed: 100) }, clock: clock)
        return try FaultingExecutor(inner, ChaosSchedule(ChaosScript(entries), device: device, now: { clock.now }), clock: clock)
    }

    @Test(arguments: [StepFault.crash, .sticky, .hang])
    func whatEndsAProcessIsRefused(fault: StepFault) {
        #expect {
            try executor(VirtualClock(.immediate), .init(device, .oom, .run(1)), .init(device, fault, .run(9)))
        } throws: { error in
            guard let error = error as? ApusError else { return false }
            return error.code == .invalidValue && error.place == "--chaos" && error.message.contains("\(fault.rawValue) on cpu:0")
        }
    }

    @Test func stepsFailAsAskedAndOtherwiseRun() async throws {
        let executor = try executor(VirtualClock(.immediate), .init(device, .oom, .run(2), count: 2))
        #expect(executor.device == device && executor.laneCount == 2)
        let model = try await executor.loadAnything()
        #expect(await executor.runOnLane(model, [1]).values == [2])
        for _ in 0..<2 { #expect(await executor.runOnLane(model, [1]).code == .outOfMemory) }
        #expect(await executor.runOnLane(model, [1]).values == [2])
    }

    @Test func slowStepsTakeFiveTimesAndThrottledOnesTwiceTheirTime() async throws {
        let clock = VirtualClock(.immediate)
        let executor = try executor(clock, .init(device, .slow, .run(1)), .init(device, .throttle, .run(2)))
        let model = try await executor.loadAnything()
        var times: [Int] = []
        for _ in 0..<3 {
            let began = clock.now
            #expect(await executor.runOnLane(model, [1]).values == [2])
            times.append(clock.now - began)
        }
        #expect(times == [500, 200, 100])
    }

    @Test func aLostDeviceAnswersNothingAnyMore() async throws {
        let executor = try executor(VirtualClock(.immediate), .init(device, .lost, .run(1)))
        let model = try await executor.loadAnything()
        for _ in 0..<2 { #expect(await executor.runOnLane(model, [1]).code == .deviceLost) }
        await #expect { try await executor.loadAnything() } throws: { ($0 as? ApusError)?.code == .deviceLost }
        await #expect { try await executor.memory() } throws: { ($0 as? ApusError)?.code == .deviceLost }
        await #expect { try await executor.clearCache() } throws: { ($0 as? ApusError)?.code == .deviceLost }
    }

    @Test func knownAnswersAreNeverMadeToFail() async throws {
        let executor = try executor(VirtualClock(.immediate), .init(device, .oom, .run(1)))
        let model = try await executor.loadAnything()
        let answer = try await executor.prepare { () throws(ApusError) in
            try model.run(Doubling.input([4]), output: 0, memory: .kept)
        }
        #expect(answer.float32 == [8])
        #expect(await executor.runOnLane(model, [1]).code == .outOfMemory)
    }
}
